"""Who trains into an OUT: the one who began last. Who began before ends at its next state, so that two commands at
once never mix their states; a killed run leaves nothing to be cleared away.
"""

from __future__ import annotations

import secrets
from typing import Final

from operators.whole_file import place, write_whole
from workflows.training.job import TrainingRunError

OWNER_FILE: Final = "owner"


def take(out: str) -> str:
    """Become the owner of OUT; returns the token to say so with."""
    token = secrets.token_hex(8)
    write_whole((place(out) / OWNER_FILE).uri, token.encode())
    return token


def expect_owner(out: str, token: str) -> None:
    """Raises TrainingRunError where another run has begun in OUT since `take` gave the token."""
    file = place(out) / OWNER_FILE
    if not file.exists() or file.fs.cat_file(file.path) != token.encode():
        raise TrainingRunError(
            f"another training into {out} has begun since, and goes on from the last state; this one ends here"
        )
