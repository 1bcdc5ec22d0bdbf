"""Who trains into an OUT: the one who began last. Who began before ends at its next state, so that two commands at
once never mix their states; a killed run leaves nothing to be cleared away.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from operators.whole_file import Place, write_whole
from workflows.training.job import TrainingRunError

OWNER_FILE: Final = "owner"


@dataclass(frozen=True)
class Ownership:
    """One run's hold on OUT. Travels to the workers, with whatever opens OUT."""

    out: Place
    token: str

    @classmethod
    def take(cls, out: Place) -> Ownership:
        """Become the owner."""
        token = secrets.token_hex(8)
        write_whole((out / OWNER_FILE).uri, token.encode())
        return cls(out, token)

    def holds(self) -> bool:
        """True while nobody else has become the owner. Raises TrainingRunError where OUT cannot be seen."""
        file = self.out / OWNER_FILE
        if not file.exists():
            raise TrainingRunError(
                f"{file.uri} is not there: either another training into it has ended, or this node does not see --out, "
                "which must be a folder that all nodes see, or a URL"
            )
        return bool(file.fs.cat_file(file.path) == self.token.encode())

    def release(self) -> None:
        """Leave OUT without an owner, if it is still held."""
        file = self.out / OWNER_FILE
        if file.exists() and self.holds():
            file.fs.rm_file(file.path)

    def expect(self) -> None:
        """Raises TrainingRunError where it does not hold any more."""
        if not self.holds():
            raise TrainingRunError(
                f"another training into {self.out.uri} has begun since, and goes on from the last state; this one ends "
                "here"
            )
