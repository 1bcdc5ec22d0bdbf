"""What a run looked at: the sources that would have been listed had they been there.

A directory stands for all below it, a glob for what it matches and all below that, an archive for its members, a
manifest for the members of the archives that it names. Of a single file nothing else follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from posixpath import dirname
from typing import Any

from operators.file_sources import canonical_member
from operators.listing import expand, info_of, split_glob
from operators.manifest import manifest_entries
from operators.media.archive_slice import MEMBER_PREFIXES, layers
from operators.media.names import ARCHIVE_EXTENSIONS, MANIFEST_EXTENSIONS, extension
from operators.source import place_of, uri_of

Test = Callable[[str], bool]


def looked_at(patterns: Sequence[str]) -> Test:
    """A test for URIs: would a listing of `patterns` (as of `operators.sources.list_sources`) have come by?

    >>> test = looked_at(["/etc"])
    >>> test("/etc/a/b.wav"), test("zip://c.wav::/etc/d.zip"), test("/home/e.wav")
    (True, True, False)
    """
    tests = [test for pattern in patterns for test in _tests(pattern)]
    return lambda uri: any(test(uri) for test in tests)


def around(uri: str) -> Iterator[str]:
    """A source, the archives around it, and the directories above, from the inside out.

    >>> list(around("zip://a.wav::/x/y.zip"))
    ['zip://a.wav::/x/y.zip', '/x/y.zip', '/x', '/']
    """
    *inner, home = layers(uri)
    yield from ("::".join([*inner[depth:], home]) for depth in range(len(inner)))
    above = ""
    while home != above:
        yield home
        above, home = home, dirname(home)


def _tests(pattern: str) -> Iterator[Test]:
    if pattern.startswith(MEMBER_PREFIXES):
        wanted, _ = canonical_member(pattern)
        yield lambda uri: uri == wanted or uri.endswith(f"::{wanted}")
        return
    fs, path = place_of(pattern)
    info = info_of(fs, path)
    if info is None:
        base, parts = split_glob(path)
        yield _of_glob(fs, base, parts)
        if extension(parts[-1] if parts else "") in MANIFEST_EXTENSIONS:
            yield from (_of_manifest(uri_of(fs, found["name"])) for found in expand(fs, base, parts))
        return
    name = uri_of(fs, info["name"])
    if info["type"] == "directory":
        below = f"{name.rstrip('/')}/"
        yield lambda uri: layers(uri)[-1].startswith(below)
    elif extension(name) in MANIFEST_EXTENSIONS:
        yield _of_manifest(name)
    else:
        yield lambda uri: layers(uri)[-1] == name


def _of_glob(fs: Any, base: str, parts: list[str]) -> Test:
    root = uri_of(fs, base).rstrip("/")

    def test(uri: str) -> bool:
        home = layers(uri)[-1]
        return home.startswith(f"{root}/") and _matches(parts, home[len(root) + 1 :].split("/"))

    return test


def _matches(parts: Sequence[str], names: Sequence[str]) -> bool:
    """True when the components of a glob match a path, or a directory above it."""
    if not parts or not names:
        return not parts
    head, rest = parts[0], parts[1:]
    if head == "**":
        return not rest or _matches(rest, names) or _matches(parts, names[1:])
    return fnmatchcase(names[0], head) and _matches(rest, names[1:])


def _of_manifest(manifest: str) -> Test:
    named = {hash(_canonical(entry.uri)) for entry in manifest_entries(manifest) if _is_archive(entry.uri)}
    return lambda uri: any(hash(name) in named for name in around(uri) if _is_archive(name))


def _canonical(uri: str) -> str:
    return canonical_member(uri)[0] if uri.startswith(MEMBER_PREFIXES) else uri


def _is_archive(uri: str) -> bool:
    return extension(layers(uri)[0]) in ARCHIVE_EXTENSIONS
