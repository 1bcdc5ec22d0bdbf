"""Places that a command will write to, looked at before the work begins."""

from __future__ import annotations

import os
from pathlib import Path


class NotWritableError(OSError):
    """No file can be written there; the message says why and what to do."""


def check_writable(path: Path, option: str) -> None:
    """Raises NotWritableError unless a file can be made at `path`, in folders that are there or can be made.

    Permissions are those that the system tells; a disk that fills up meanwhile is not foreseen.
    """
    if path.is_dir():
        raise NotWritableError(f"{option} {path} is a folder; give the name of a file in it")
    above = path.absolute().parent
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir():
        raise NotWritableError(f"{option} {path}: {above} is no folder; give another name")
    if not os.access(above, os.W_OK | os.X_OK):
        raise NotWritableError(f"{option} {path}: {above} cannot be written to; give another name, or its permission")
