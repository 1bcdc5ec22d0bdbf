"""Lets these tests import `fabricated_dataset` (tests are no package: laion-clap installs one of that name), and lends
them a studio that separates."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from separate_studio import Studio

sys.path.append(str(Path(__file__).parents[1]))


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """Whatever separates. It sets the number of threads of its process; the next tests get theirs back."""
    import torch
    from separate_studio import studio_in

    before = torch.get_num_threads()
    yield studio_in(tmp_path_factory.mktemp("studio"))
    torch.set_num_threads(before)
