"""What a check of a dataset found: each thing with the file that it is about, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

NAMED: Final = 5
"""So many of many are named in a message."""
RERUN: Final = "run the same command again"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be (or, when `harmless`, worth knowing)."""

    kind: str
    where: str
    message: str
    harmless: bool = False


@dataclass
class VerifyResult:
    """What was looked at, and what was found."""

    out_uri: str
    units: int = 0
    stems: int = 0
    members: int = 0
    planned_members: int = 0
    decoded: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return all(finding.harmless for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """The result as it is printed in JSON."""
        return {"clean": self.clean, **asdict(self)}


def some(names: list[str]) -> str:
    """The first names in words, with how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
