"""A manifest: a table of sources, each with a stretch, a track and tags, if it likes.

Columns: `uri` (what is relative lies beside the manifest), `start` and `end` (seconds on the source's time line, half
open), `track` (audio track, from 0), `tags` (CSV: words separated by `;`; else a list of strings, or one). A value in
any other column is the tag `column=value`. A row names a file, a member of an archive, or an archive, whose members
all get its tags; directories and globs are sources of the command line. Memory does not grow with the number of rows.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from operators.manifest_rows import ManifestError, manifest_rows
from operators.media.archive_slice import layers
from operators.media.names import extension

KNOWN_COLUMNS: Final = frozenset({"uri", "start", "end", "track", "tags"})
LONGEST_SECONDS: Final = 1e7  # 115 days: no recording is longer, and seconds stay exact to the sample
SHORTEST_SECONDS: Final = 1e-3
# Export hands all tags of a source to ffmpeg as one argument, which Linux limits to 128 KiB.
MAX_TAGS: Final = 200
MAX_TAG_CHARACTERS: Final = 1_000
MAX_TAGS_BYTES: Final = 100_000
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LAST_TRACK: Final = 2**31 - 1  # of the schema's integers


@dataclass(frozen=True)
class ManifestEntry:
    """One row: a source, as the manifest names it, and what is wanted of it."""

    uri: str
    start_seconds: float = 0.0
    end_seconds: float | None = None
    track: int | None = None
    tags: tuple[str, ...] = ()

    @property
    def home_uri(self) -> str:
        """The file that the source is, or the one that holds the archive in which it lies."""
        return layers(self.uri)[-1]

    @property
    def is_part(self) -> bool:
        """True when a stretch or a track is asked for, not the source as a whole."""
        return self.start_seconds > 0 or self.end_seconds is not None or self.track is not None


def manifest_entries(uri: str) -> Iterator[ManifestEntry]:
    """The entries of the manifest, streaming; raises `ManifestError` at the first row that is wrong.

    >>> list(manifest_entries("/etc/clips.csv"))
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: '/etc/clips.csv'
    """
    for where, row in manifest_rows(uri):
        yield _entry(where, row, uri)


def check_manifest(uri: str) -> None:
    """Reads the manifest once from end to end; raises `ManifestError` for what is wrong, or when it is empty."""
    if not sum(1 for _ in manifest_entries(uri)):
        raise ManifestError(f"{uri}: no entries; write at least one row with a uri")


def _entry(where: str, row: Mapping[str, Any], manifest: str) -> ManifestEntry:
    uri = row.get("uri")
    if not isinstance(uri, str) or not uri.strip():
        _refuse(where, "uri", uri, "is no address of a source; give a path or a URL")
    start = _seconds(where, row, "start") or 0.0
    end = _seconds(where, row, "end")
    if end is not None and end <= start:
        _refuse(where, "end", end, f"is not after start {start:g}; give an end after it, or leave it empty")
    if end is not None and end - start < SHORTEST_SECONDS:
        said = f"is less than {SHORTEST_SECONDS:g} s after start {start!r}; give a later end, or leave it empty"
        _refuse(where, "end", end, said)
    own = _own_tags(where, row.get("tags"), are_joined=extension(manifest) == "csv")
    tags = tuple(dict.fromkeys((*own, *_column_tags(where, row))))
    _check_tags(where, tags)
    return ManifestEntry(_beside(uri, manifest), start, end, _track(where, row), tags)


def _seconds(where: str, row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    if _is_missing(value):
        return None
    number = _number(value)
    if number is None:
        _refuse(where, name, value, "is not a number; give seconds such as 12.5, or leave it empty")
    if number < 0:
        _refuse(where, name, value, "is negative; a source's time line starts at 0, give seconds from there")
    if number > LONGEST_SECONDS:
        _refuse(where, name, value, f"is beyond {LONGEST_SECONDS:.0f} s; give seconds on the source's time line")
    return number


def _track(where: str, row: Mapping[str, Any]) -> int | None:
    value = row.get("track")
    if _is_missing(value):
        return None
    number = _number(value)
    if number is None or number != int(number) or not 0 <= number <= _LAST_TRACK:
        _refuse(
            where, "track", value, "is not an audio track; give an integer from 0, or leave it empty for every track"
        )
    return int(number)


def _number(value: object) -> float | None:
    """The finite number that a value is, or that its text is."""
    try:
        number = math.nan if isinstance(value, bool) else float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _own_tags(where: str, value: object, *, are_joined: bool) -> Iterator[str]:
    if _is_missing(value):
        return
    if isinstance(value, str):
        words = value.split(";") if are_joined else [value]
    elif isinstance(value, list) and all(isinstance(word, str) for word in value):
        words = value
    else:
        _refuse(where, "tags", value, "is no list of strings; give words")
    yield from (word.strip() for word in words if word.strip())


def _column_tags(where: str, row: Mapping[str, Any]) -> Iterator[str]:
    for name, value in row.items():
        if name in KNOWN_COLUMNS or _is_missing(value):
            continue
        if isinstance(value, list | dict | bytes):
            _refuse(where, name, value, "cannot be a tag; give a string or a number, or leave the column out")
        yield f"{name}={str(value).lower() if isinstance(value, bool) else value}"


def _check_tags(where: str, tags: Sequence[str]) -> None:
    if len(tags) > MAX_TAGS:
        _refuse(where, "number of tags", len(tags), f"is more than {MAX_TAGS}; leave columns or words out")
    for tag in tags:
        if not _is_text(tag):
            _refuse(where, "tag", tag, "is not text that a table can hold; correct it")
        if len(tag) > MAX_TAG_CHARACTERS:
            said = f"has {len(tag)} characters, a tag has at most {MAX_TAG_CHARACTERS}; shorten it, or leave it out"
            _refuse(where, "tag", tag, said)
        if found := _CONTROL.search(tag):
            said = f"holds the control character U+{ord(found[0]):04X}; take it out, or leave the column out"
            _refuse(where, "tag", tag, said)
    if (size_bytes := len("; ".join(tags).encode())) > MAX_TAGS_BYTES:
        said = f"is more than {MAX_TAGS_BYTES}; shorten them, or leave some out"
        _refuse(where, "bytes of all tags", size_bytes, said)


def _is_text(tag: str) -> bool:
    try:
        tag.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell
        return False
    return True


def _is_missing(value: object) -> bool:
    return value is None or value == ""


def _beside(uri: str, manifest: str) -> str:
    """The address of a source: a relative path is looked up where the manifest lies."""
    *inner, home = layers(uri)
    if "://" in home or home.startswith(("/", "~")):
        return uri
    scheme, mark, path = posixpath.dirname(manifest).rpartition("://")
    beside = f"{scheme}{mark}{posixpath.normpath(posixpath.join(path, home))}"
    return "::".join([*inner, beside])


def _refuse(where: str, name: str, value: object, said: str) -> NoReturn:
    shown = repr(value) if isinstance(value, str) else str(value)
    raise ManifestError(f"{where}: {name} {shown[:80]} {said}")
