"""Programs that tests compare with: from PATH, or from `.tools/`, where `make tools` puts them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

TOOLS = Path(__file__).parent.parent / ".tools"


def tool(name: str) -> str:
    """The program's path. Where it is missing the test is skipped, loudly; with CI set it fails instead."""
    found = shutil.which(name) or shutil.which(name, path=str(TOOLS))
    if found is None:
        absent = f"{name} is not here: run `make tools`, which fetches it into {TOOLS.name}/"
        if os.environ.get("CI"):
            pytest.fail(absent)
        pytest.skip(absent)
    return found


def needs_program(name: str, packages: str) -> pytest.MarkDecorator:
    """Skips a test where a program that Debian's `packages` bring is not installed."""
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed: apt-get install {packages}")
