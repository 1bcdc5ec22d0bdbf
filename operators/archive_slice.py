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
_PLACE: Final = re.compile(r"(.*)@(\d+)\+(\d+)(?::(stored|deflated):(\d+):([0-9a-f]{8}))?", re.DOTALL)


@dataclass(frozen=True)
class Extent:
    """A member's place in a file: `packed_bytes` at `offset` (of a zip's local header), `size_bytes` unpacked."""

    offset: int
    packed_bytes: int
    packing: Packing
    size_bytes: int
    crc32: int = 0

    def within(self, outer: Extent) -> Extent:
        """The same place, told from the start of the file in which `outer` is the archive."""
        return replace(self, offset=outer.offset + self.offset)

    def __str__(self) -> str:
        place = f"@{self.offset}+{self.packed_bytes}"
        return place if self.packing == "plain" else f"{place}:{self.packing}:{self.size_bytes}:{self.crc32:08x}"


@dataclass(frozen=True)
class ArchiveSlice:
    """A member of an archive: the outermost file, which version of it, and the member's place in it."""

    home_uri: str
    home_version: str
    extent: Extent


def plain_extent(offset: int, size_bytes: int) -> Extent:
    """The bytes `[offset, offset + size_bytes)` as they are."""
    return Extent(offset, size_bytes, "plain", size_bytes)


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
    return ArchiveSlice(uri.rpartition("::")[2], home_version, extent)
