"""The one file of a model in a folder: what lies there, and how it comes there whole and from one writer at a time.

A file is made in `.NAME.part/` beside it, which is locked meanwhile. What a killed process left in there is removed by
the next one that makes the same file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from model.registry import KnownModel, stored_path

State = Literal["absent", "whole", "damaged"]
ELSEWHERE: Final = "choose another place: --out of an import, or SOUNDQUARRY_MODELS for the models' folder"


@dataclass(frozen=True)
class Stored:
    """What lies in the place of a fetched model."""

    path: Path
    state: State
    published: bool = False
    """Whether it is made of the published files, as far as it says."""
    provenance: Mapping[str, Any] = field(default_factory=dict)


def stored(known: KnownModel) -> Stored:
    """The state of a fetched model's file, by its header and its length; the weights are not read."""
    from model.weights_file import CheckpointError, read_header

    path = stored_path(known)
    if not path.is_file():
        return Stored(path, "absent")
    try:
        header, _ = read_header(path)
    except (CheckpointError, OSError):
        return Stored(path, "damaged")
    provenance = header.get("provenance") or {}
    made_of = provenance.get("made_of") or {}
    published = all(made_of.get(role) == sha256 for role, sha256 in known.made_of.items())
    return Stored(path, "whole", published, provenance)


@contextlib.contextmanager
def making(out: Path, size_bytes: int) -> Iterator[Path]:
    """A path to write to; what lies there in the end takes the name `out`, at once. Without a file nothing changes.

    Raises OSError, before anything is done, where `out` is a folder or cannot be written, where its disk has no room,
    and where another process makes the same file.
    """
    if out.is_dir():
        raise IsADirectoryError(f"{out} is a folder; name the file to write, such as {out / 'mine.safetensors'}")
    folder = part_folder(out)
    with worded(out):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    try:
        _hold(handle, folder, out)
        try:
            for left in folder.iterdir():
                left.unlink()
            if (free := shutil.disk_usage(folder).free) < size_bytes:
                raise OSError(
                    f"no space left in {out.parent}: the model needs {size_bytes / 1e6:,.1f} MB, {free / 1e6:,.1f} MB "
                    f"are free. Make room, or {ELSEWHERE}"
                )
            part = folder / out.name
            yield part
            if part.exists():
                os.replace(part, out)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


def sweep(out: Path) -> None:
    """Remove what a killed process left while it made `out`; what another one is making stays."""
    if part_folder(out).exists():
        with contextlib.suppress(OSError), making(out, 0):
            pass


def part_folder(out: Path) -> Path:
    """Where `out` is made."""
    return out.with_name(f".{out.name}.part")


@contextlib.contextmanager
def alone(path: Path, wait: Callable[[], None]) -> Iterator[None]:
    """The lock of a file; `wait` is called once where another process holds it."""
    with worded(path):
        lock = open(path, "a")  # noqa: SIM115 - it stays: removing it would let two processes hold "it"
    with lock:
        with worded(path):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                wait()
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def worded(path: Path) -> Iterator[None]:
    """Says of an OSError which file could not be had, and what to do."""
    try:
        yield
    except OSError as error:
        raise OSError(f"{path} cannot be written or locked ({error.strerror}); {ELSEWHERE}") from error


def _hold(handle: int, folder: Path, out: Path) -> None:
    """Lock the folder, unless another process has it, or has removed it since it was opened."""
    with worded(out):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = os.path.samestat(os.fstat(handle), os.stat(folder))
        except (BlockingIOError, FileNotFoundError):
            held = False
    if not held:
        raise OSError(f"another import makes {out} just now; wait for it to end, then give the command again if needed")
