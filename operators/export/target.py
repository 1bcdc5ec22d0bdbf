"""What stands in the way of an export where its files go.

Contract: `check_target` changes nothing that is there and raises ExportError for all that can be known before the first
file is written: a file where a folder is needed, a folder where a file is, a place that cannot be written, and, without
leave to overwrite, files of the same names in whatever spelling, hidden ones and those behind links included.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from operators.export.index import INDEX_FILE, is_our_index
from operators.export.names import collision_key
from operators.export.selection import ExportError, examples
from operators.whole_file import Place, place


def check_target(to_uri: str, names: Sequence[str], *, overwrite: bool) -> None:
    """Raises ExportError where files of these names, and their index, cannot or may not be written below `to_uri`."""
    try:
        target = place(to_uri)
    except OSError as error:
        raise ExportError(f"--to {error}") from error
    if target.fs.isfile(target.path):
        raise ExportError(f"--to {to_uri} is a file, and a folder is needed: give another --to")
    if target.is_local:
        _check_folders(target, [*names, INDEX_FILE])
    if overwrite:
        return
    index = target / INDEX_FILE
    if not is_our_index(index):
        raise ExportError(
            f"{index.uri} exists and is no index of an export of this version: give --overwrite to replace it, or "
            "another --to"
        )
    refuse_existing(to_uri, names)


def refuse_existing(to_uri: str, names: Sequence[str]) -> None:
    """Raises ExportError when a file of one of these names is there already, in whatever spelling."""
    target = place(to_uri)
    root = target.path.rstrip("/") + "/"
    there = {collision_key(path.removeprefix(root)) for path in _files(target)}
    known = [name for name in names if collision_key(name) in there or _lies_there(target, name)]
    if known:
        raise ExportError(
            f"{len(known)} of {len(names)} files exist already in {to_uri} ({examples(known)}): give --overwrite to "
            "replace them, or another --to"
        )


def _files(target: Place) -> list[str]:
    """Every file below, hidden ones too; not those behind links to folders."""
    target.fs.invalidate_cache(target.path)
    try:
        return list(target.fs.find(target.path))
    except FileNotFoundError:
        return []


def _lies_there(target: Place, name: str) -> bool:
    """True when this very path is taken, also by a link that leads nowhere, also behind a link to a folder."""
    return target.is_local and os.path.lexists((target / name).path)


def _check_folders(target: Place, names: Sequence[str]) -> None:
    """The folders that are needed can be made and written into, and no folder lies where a file goes."""
    taken = [name for name in names if os.path.isdir((target / name).path)]
    if taken:
        raise ExportError(
            f"{len(taken)} of {len(names)} files cannot be written, for folders of their names lie in {target.uri} "
            f"({examples(taken)}): give another --name, or another --to"
        )
    for folder in sorted({_nearest(Path((target / name).path).parent) for name in names}):
        if not folder.is_dir():
            raise ExportError(f"{folder} is no folder, and one is needed for the files: give another --to, or --name")
        try:
            with tempfile.TemporaryDirectory(dir=folder, prefix=".soundquarry-"):
                pass
        except OSError as error:
            raise ExportError(f"nothing can be written into {folder} ({error}): give another --to") from error


def _nearest(folder: Path) -> Path:
    """The folder, or what is there of the path to it."""
    while not os.path.lexists(folder):
        folder = folder.parent
    return folder
