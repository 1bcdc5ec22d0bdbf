"""Where a member of an archive lies: a byte range of the file that holds the archive, and how it is packed.

Archives in archives compose: however deep a member lies, it is one range of the outermost file. A member's URI is
fsspec's chained form (`zip://a.wav::tar://inner.zip::/outer.tar`); its version is the outermost file's and ends in the
range, and that alone is enough to read it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final, Literal

Packing = Literal["plain", "stored", "deflated"]
"""`plain`: the range is the data (tar). `stored`, `deflated`: it begins with a zip's local header, whose length only a
look into the file tells."""

MEMBER_PREFIXES: Final = ("tar://", "zip://")
# Names may hold `::` too: the file begins behind the last one that a path or another store's address follows.
_BEFORE_HOME: Final = re.compile(r"::(?=[/~]|(?!tar:|zip:)[A-Za-z][A-Za-z0-9+.-]*://)")
_BEFORE_ARCHIVE: Final = re.compile(r"::(?=tar://|zip://)")
_PLACE: Final = re.compile(r"(.*)@(\d+)\+(\d+)(?::(stored|deflated):(\d+):([0-9a-f]{8}))?", re.DOTALL)


@dataclass(frozen=True)
class Extent:
    """A member's place in a file: `packed_bytes` at `offset` (of a zip's local header), `size_bytes` unpacked."""

    offset: int
    packed_bytes: int
    packing: Packing
    size_bytes: int
    crc32: int = 0

    @property
    def end(self) -> int:
        """Where its bytes end, as far as its place tells (a zip's local header comes on top)."""
        return self.offset + self.packed_bytes

    def within(self, outer: Extent) -> Extent:
        """The same place, told from the start of the file in which `outer` is the archive."""
        return replace(self, offset=outer.offset + self.offset)

    def __str__(self) -> str:
        place = f"@{self.offset}+{self.packed_bytes}"
        return place if self.packing == "plain" else f"{place}:{self.packing}:{self.size_bytes}:{self.crc32:08x}"


@dataclass(frozen=True)
class Unreadable:
    """Why a member cannot be read: a short name, and a sentence that ends with what to do."""

    error_class: str
    said: str


@dataclass(frozen=True)
class ArchiveSlice:
    """A member of an archive: the outermost file, which version of it, and the member's place in it."""

    home_uri: str
    home_version: str
    extent: Extent


def plain_extent(offset: int, size_bytes: int) -> Extent:
    """The bytes `[offset, offset + size_bytes)` as they are."""
    return Extent(offset, size_bytes, "plain", size_bytes)


def layers(uri: str) -> list[str]:
    """A URI taken apart: the member, the archives around it from the inside out, and the file that holds them all.

    >>> layers("zip://a::b.wav::tar://in.zip::/x::y/outer.tar")
    ['zip://a::b.wav', 'tar://in.zip', '/x::y/outer.tar']
    >>> layers("/x/a::b.wav")
    ['/x/a::b.wav']
    """
    if not uri.startswith(MEMBER_PREFIXES):
        return [uri]
    *_, mark = [uri.rfind("::"), *(match.start() for match in _BEFORE_HOME.finditer(uri))]
    return [uri] if mark < 0 else [*_BEFORE_ARCHIVE.split(uri[:mark]), uri[mark + 2 :]]


def archive_slice(uri: str, version: str) -> ArchiveSlice | None:
    """Where a member lies, or None when `uri` is not a member of an archive.

    >>> part = archive_slice("tar://a/b.wav::/x.tar", "77-1@512+100")
    >>> part.home_uri, part.home_version, part.extent.offset, part.extent.size_bytes
    ('/x.tar', '77-1', 512, 100)
    """
    match = _PLACE.fullmatch(version) if uri.startswith(MEMBER_PREFIXES) else None
    if match is None:
        return None
    home_version, offset, packed_bytes, packing, size_bytes, crc32 = match.groups()
    extent = plain_extent(int(offset), int(packed_bytes))
    if packing is not None:
        kind: Packing = "stored" if packing == "stored" else "deflated"
        extent = replace(extent, packing=kind, size_bytes=int(size_bytes), crc32=int(crc32, 16))
    return ArchiveSlice(layers(uri)[-1], home_version, extent)
