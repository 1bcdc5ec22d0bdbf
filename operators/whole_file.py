"""Files of the dataset that appear under their final name whole, or not at all, on a disk or in a bucket.

Contract: between `WholeFile(uri)` and `publish()` the bytes lie in a hidden temporary file, locked by its writer;
`publish` makes them the file; `abort`, or the end of the `with` block without `publish`, leaves nothing. A writer that
was killed leaves the temporary file, never the final name; `sweep_temporary` removes it once no writer holds its lock.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import fsspec
from fsspec.implementations.local import LocalFileSystem

from operators.failure import SourceFailure

TEMPORARY_SUFFIX: Final = ".tmp"
NAME_BYTES: Final = 200  # of the final name in the temporary one: file systems hold 255 bytes
DISK_FULL_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class Place:
    """A URI taken apart: the file system, the path it knows, and whether that is this machine's disk."""

    fs: Any
    path: str
    is_local: bool

    def __truediv__(self, name: str) -> Place:
        return Place(self.fs, f"{self.path.rstrip('/')}/{name}", self.is_local)

    @property
    def uri(self) -> str:
        """The path as a person types it: plain on a disk, with its protocol elsewhere."""
        return self.path if self.is_local else str(self.fs.unstrip_protocol(self.path))

    def exists(self) -> bool:
        """True when something lies there now; directory listings cached earlier do not count."""
        self.fs.invalidate_cache(self.path.rsplit("/", 1)[0])
        return bool(self.fs.exists(self.path))

    def find(self, suffix: str) -> dict[str, int]:
        """Path and size of every file below whose name ends with `suffix`, hidden ones left out, sorted by path."""
        self.fs.invalidate_cache(self.path)
        try:
            found: dict[str, dict[str, Any]] = self.fs.find(self.path, detail=True)
        except FileNotFoundError:
            return {}
        return {
            path: int(info["size"] or 0)
            for path, info in sorted(found.items())
            if path.endswith(suffix) and not path.rsplit("/", 1)[-1].startswith(".")
        }


def place(uri: str | os.PathLike[str]) -> Place:
    """The place a URI names; local paths become absolute. Raises OSError for a file system that is not installed.

    >>> place("/data/out").path, place("memory://out").is_local
    ('/data/out', False)
    """
    try:
        fs, path = fsspec.core.url_to_fs(os.fspath(uri))
    except (ValueError, ImportError) as error:
        raise OSError(f"{uri} cannot be reached ({error}); check the address, or install what it needs") from error
    return Place(fs, str(path), isinstance(fs, LocalFileSystem))


def scratch_directory() -> Path:
    """Where files bound for a bucket grow: one folder per user, so that a killed writer's can be found again."""
    return Path(tempfile.gettempdir()) / f"soundquarry-{os.getuid()}"


@contextlib.contextmanager
def failing_as_rows(uri: str) -> Iterator[None]:
    """Turns a full disk into the `SourceFailure` (class disk_full, stage commit) of a unit."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL_ERRORS:
            raise
        raise SourceFailure(
            status="failed",
            error_class="disk_full",
            message=f"no space left while writing {uri}; free some and run the same command again",
            stage="commit",
        ) from error


class WholeFile:
    """One file in the making; `file` is open for writing, `path` is where its bytes grow.

    >>> with tempfile.TemporaryDirectory() as folder, WholeFile(f"{folder}/a/hello.txt") as whole:
    ...     _ = whole.file.write(b"hello")
    ...     whole.publish()
    """

    def __init__(self, uri: str | os.PathLike[str]) -> None:
        self.place = place(uri)
        name = self.place.path.rsplit("/", 1)[-1]
        final = Path(self.place.path)
        directory = final.parent if self.place.is_local else scratch_directory()
        with failing_as_rows(self.place.uri):
            directory.mkdir(parents=True, exist_ok=True)
            told = name.encode()[:NAME_BYTES].decode(errors="ignore")
            self.path = directory / f".{told}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY_SUFFIX}"
            self.file: BinaryIO = self.path.open("xb")
        _lock(self.file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abort()

    def publish(self, *, exclusive: bool = False) -> None:
        """Makes the bytes written so far the file. With `exclusive`, FileExistsError when there is one already.

        Raises SourceFailure (stage commit) when the disk is full or the bucket does not take the file.
        """
        try:
            with failing_as_rows(self.place.uri):
                self.file.flush()
                if self.place.is_local:
                    self._rename(exclusive)
                else:
                    self._upload(exclusive)
        finally:
            self.abort()

    def _rename(self, exclusive: bool) -> None:
        os.fsync(self.file.fileno())
        if exclusive:
            try:
                os.link(self.path, self.place.path)  # unlike a rename, refuses to replace
            except FileExistsError:
                raise
            except OSError:  # a file system without links: claim the name, then fill it
                Path(self.place.path).touch(exist_ok=False)
                os.replace(self.path, self.place.path)
        else:
            os.replace(self.path, self.place.path)
        _sync_directory(self.path.parent)

    def _upload(self, exclusive: bool) -> None:
        try:
            if exclusive:
                self.place.fs.pipe_file(self.place.path, self.path.read_bytes(), mode="create")
            else:
                self.place.fs.put_file(str(self.path), self.place.path)
        except FileExistsError:
            raise
        except Exception as error:  # every client library has its own errors; none of them may end the job
            raise SourceFailure(
                status="failed",
                error_class="connection",
                message=f"{self.place.uri} could not be written, run the same command again: "
                f"{type(error).__name__}: {error}",
                stage="commit",
            ) from error

    def abort(self) -> None:
        """Leaves nothing behind; does nothing after `publish`."""
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # closing flushes, and a full disk says so again
            self.file.close()


def write_whole(uri: str | os.PathLike[str], data: bytes) -> None:
    """A small file, whole or not at all; replaces what was there."""
    with WholeFile(uri) as whole:
        with failing_as_rows(whole.place.uri):
            whole.file.write(data)
        whole.publish()


def find_temporary(out_uri: str | os.PathLike[str]) -> list[Path]:
    """Temporary files of writers, alive or dead: in OUT on a disk, else in this user's scratch folder."""
    out = place(out_uri)
    root = Path(out.path) if out.is_local else scratch_directory()
    return sorted(path for path in root.rglob(f".*{TEMPORARY_SUFFIX}") if path.is_file())


def sweep_temporary(out_uri: str | os.PathLike[str], older_than_seconds: float) -> list[Path]:
    """Removes temporary files that killed writers left, and returns them; a live writer's is never touched.

    A writer holds a lock on its file for as long as it lives. The age guards the moment before the lock is taken, and
    file systems without locks: an hour is ample.
    """
    now = time.time()
    return [path for path in find_temporary(out_uri) if _remove_if_dead(path, now - older_than_seconds)]


def _remove_if_dead(path: Path, newest: float) -> bool:
    try:
        with path.open("rb+") as file:
            if os.fstat(file.fileno()).st_mtime > newest:
                return False
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            return True
    except (BlockingIOError, FileNotFoundError, PermissionError):  # alive, published or swept meanwhile, not ours
        return False
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS):
            raise
        path.unlink(missing_ok=True)  # no locks here: its age decides
        return True


def _lock(file: BinaryIO) -> None:
    with contextlib.suppress(OSError):  # a file system without locks: see `sweep_temporary`
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
