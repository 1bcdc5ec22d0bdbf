"""What lies on a file system: the entries of a directory, and those that a glob matches, in a stable order."""

from __future__ import annotations

import errno
import fnmatch
import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from operators.media.names import is_hidden

Info = Mapping[str, Any]

DEAD_LINK: Final = "dead link"
"""The type of a symbolic link that cannot be followed; `error` of its entry says why."""


def entries(fs: Any, directory: str) -> list[Info]:
    """The visible entries of a directory by name. Names with a leading dot are skipped, as a shell does.

    Links are followed: what one leads to is told under the link's name.
    """
    try:
        listing: list[Info] = fs.ls(directory, detail=True)
    except (FileNotFoundError, NotADirectoryError):  # gone since its parent was listed, or never there
        return []
    visible = [i for i in listing if i["name"].rstrip("/") != directory.rstrip("/") and not is_hidden(i["name"])]
    return sorted((_followed(fs, info) if info.get("islink") else info for info in visible), key=_name)


def expand(fs: Any, base: str, parts: Sequence[str], above: frozenset[str] = frozenset()) -> Iterator[Info]:
    """Entries below `base` that match the components of a glob, one directory in memory at a time.

    `above` are the directories that a `**` has come through: a link back to one of them is not followed again.
    """
    head, rest = parts[0], parts[1:]
    if not has_magic(head):
        path = posixpath.join(base, head)
        info = info_of(fs, path) or _dead_link(fs, path)
        if info is not None:
            yield from expand(fs, info["name"], rest) if rest and not _is_dead(info) else iter([info])
        return
    if head == "**":
        above |= {real_path(fs, base)}
        if rest:
            yield from expand(fs, base, rest)
    for info in entries(fs, base):
        is_directory = info["type"] == "directory"
        if head == "**":
            if is_directory:
                if real_path(fs, info["name"]) not in above:
                    yield from expand(fs, info["name"], parts, above)
            elif not rest or _is_dead(info):
                yield info
        elif fnmatch.fnmatchcase(_name(info), head):
            if not rest or _is_dead(info):
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
    """What is at `path`, links followed; None where nothing is, or a link that leads nowhere."""
    try:
        info: Info = fs.info(path)
    except OSError as error:
        if _is_nowhere(error):
            return None
        raise
    return info


def real_path(fs: Any, directory: str) -> str:
    """The directory under the one name that no link is part of."""
    return os.path.realpath(directory) if is_local_fs(fs) else directory


def is_local_fs(fs: Any) -> bool:
    return "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))


def has_magic(text: str) -> bool:
    return any(character in text for character in "*?[")


def _followed(fs: Any, link: Info) -> Info:
    try:
        info: Info = fs.info(link["name"])
    except OSError as error:
        return {**link, "type": DEAD_LINK, "error": error}
    return info


def _dead_link(fs: Any, path: str) -> Info | None:
    """The entry of a link that leads nowhere, None where no link is."""
    return _followed(fs, {"name": path}) if is_local_fs(fs) and os.path.islink(path) else None


def _is_dead(info: Info) -> bool:
    """True for a link to what may have been a directory full of matches."""
    return bool(info["type"] == DEAD_LINK)


def _is_nowhere(error: OSError) -> bool:
    return isinstance(error, FileNotFoundError | NotADirectoryError) or error.errno == errno.ELOOP


def _name(info: Info) -> str:
    return posixpath.basename(str(info["name"]).rstrip("/"))
