"""The Role for people who submit, read out of docs/kubernetes.md, so that what is documented is what is tested."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import yaml

GUIDE: Final = Path(__file__).parent.parent / "docs" / "kubernetes.md"
HEADING: Final = "### Who may submit"


def documented_role() -> dict[str, Any]:
    """The manifest under the heading."""
    section = GUIDE.read_text(encoding="utf-8").partition(f"{HEADING}\n")[2]
    manifests = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)]
    role: dict[str, Any] = next(found for found in manifests if found.get("kind") == "Role")
    return role


def documented_rights() -> set[tuple[str, str, str]]:
    """Verb, group and resource of all that it gives."""
    return {
        (verb, group, resource)
        for rule in documented_role()["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
