"""A cache of remote objects on a node's scratch disk: each version is fetched once per node, whole or not at all.

An entry is in use while its lock file is held; what was used longest ago goes first when the cache outgrows its limit.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Final

DEFAULT_LIMIT_BYTES: Final = 50 << 30  # five movies of 10 GB


def default_scratch() -> Path:
    """`media` in `$SOUNDQUARRY_SCRATCH`, or in a directory of the user below the system's place for temporary files."""
    root = os.environ.get("SOUNDQUARRY_SCRATCH") or Path(tempfile.gettempdir()) / f"soundquarry-{os.getuid()}"
    return Path(root) / "media"


class ScratchCache:
    """Files of remote objects below `directory`, at most `limit_bytes` of them besides those in use."""

    def __init__(self, directory: Path, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self.directory = directory
        self.limit_bytes = limit_bytes

    @contextlib.contextmanager
    def entry(self, uri: str, version: str, fetch: Callable[[BinaryIO], None]) -> Iterator[Path]:
        """The file of (uri, version), there for as long as the context lasts; `fetch` writes it when it is missing."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = blake2b(f"{uri}\0{version}".encode(errors="surrogateescape"), digest_size=16).hexdigest()
        path = self.directory / name
        with open(self.directory / f"{name}.lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            while not path.exists():
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not path.exists():
                    self._write(path, fetch)
                fcntl.flock(
                    lock, fcntl.LOCK_SH
                )  # not atomic: somebody may have evicted the file in between, hence `while`
            os.utime(path)
            yield path

    def _write(self, path: Path, fetch: Callable[[BinaryIO], None]) -> None:
        part = path.with_suffix(".part")
        try:
            with open(part, "wb") as file:
                fetch(file)
            self._evict(part.stat().st_size)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    def _evict(self, needed_bytes: int) -> None:
        files = [(p.stat(), p) for p in self.directory.iterdir() if not p.suffix]
        total = needed_bytes + sum(stat.st_size for stat, _ in files)
        for stat, path in sorted(files, key=lambda file: file[0].st_mtime):
            if total <= self.limit_bytes:
                return
            if _remove_unused(path):
                total -= stat.st_size


def _remove_unused(path: Path) -> bool:
    """Remove an entry unless a process holds it. Its lock file stays: removing it would let two processes hold "it"."""
    with open(path.with_suffix(".lock"), "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        path.unlink(missing_ok=True)
        return True
