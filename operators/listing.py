"""What lies on a file system: the entries of a directory, and those that a glob matches, in a stable order."""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from operators.media_names import is_hidden

Info = Mapping[str, Any]


def entries(fs: Any, directory: str) -> list[Info]:
    """The visible entries of a directory by name. Names with a leading dot are skipped, as a shell does."""
    try:
        listing: list[Info] = fs.ls(directory, detail=True)
    except (FileNotFoundError, NotADirectoryError):  # gone since its parent was listed, or never there
        return []
    visible = [i for i in listing if i["name"].rstrip("/") != directory.rstrip("/") and not is_hidden(i["name"])]
    return sorted(visible, key=_name)


def expand(fs: Any, base: str, parts: Sequence[str]) -> Iterator[Info]:
    """Entries below `base` that match the components of a glob, one directory in memory at a time."""
    head, rest = parts[0], parts[1:]
    if not has_magic(head):
        info = info_of(fs, posixpath.join(base, head))
        if info is not None:
            yield from expand(fs, info["name"], rest) if rest else iter([info])
        return
    if head == "**" and rest:
        yield from expand(fs, base, rest)
    for info in entries(fs, base):
        is_directory = info["type"] == "directory"
        if head == "**":
            if is_directory:
                yield from expand(fs, info["name"], parts)
            elif not rest:
                yield info
        elif fnmatch.fnmatchcase(_name(info), head):
            if not rest:
                yield info
            elif is_directory:
                yield from expand(fs, info["name"], rest)


def split_glob(path: str) -> tuple[str, list[str]]:
    """The directory in front of the first component with a wildcard, and the components from there."""
    parts = path.split("/")
    for index, part in enumerate(parts):
        if has_magic(part):
            return "/".join(parts[:index]) or "/", parts[index:]
    return path, []


def info_of(fs: Any, path: str) -> Info | None:
    try:
        info: Info = fs.info(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return info


def has_magic(text: str) -> bool:
    return any(character in text for character in "*?[")


def _name(info: Info) -> str:
    return posixpath.basename(str(info["name"]).rstrip("/"))
