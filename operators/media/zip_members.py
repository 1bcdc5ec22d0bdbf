"""The files inside a zip and their places in it, as its central directory tells them.

The local header in front of a member's data has a length of its own, which is read when the member is: listing a zip
in a bucket costs one look at its end, not one request per member.
"""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Iterator
from typing import IO, Final

from operators.media.archive_slice import Extent, Packing, Unreadable

LOCAL_HEADER_BYTES: Final = 30  # without the name and the extra field that follow
_SIGNATURE: Final = b"PK\x03\x04"
_ENCRYPTED: Final = 0x1
_NAME_IS_UTF8: Final = 0x800
_PACKINGS: Final[dict[int, Packing]] = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}
_METHODS: Final = {9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstandard", 95: "xz", 98: "ppmd"}


def zip_members(file: IO[bytes]) -> Iterator[tuple[str, Extent | Unreadable]]:
    """Name and place of every file, as they lie in the zip; raises `zipfile.BadZipFile` where it is damaged.

    The directory of a zip is held as a whole (0.5 KB a member). Of files of one name the last one written counts, as
    for every program that opens a zip.
    """
    with zipfile.ZipFile(file) as archive:
        members = sorted(archive.infolist(), key=lambda info: info.header_offset)
        ends = [*(info.header_offset for info in members), archive.start_dir][1:]
        for info, end in zip(members, ends, strict=True):
            is_link = stat.S_ISLNK(info.external_attr >> 16)
            if not info.is_dir() and not is_link and archive.getinfo(info.filename) is info:
                yield _name(info), _place(info, end)


def data_offset(header: bytes, header_offset: int) -> int:
    """Where the data begin behind a local header; `header` is its first `LOCAL_HEADER_BYTES`."""
    if len(header) != LOCAL_HEADER_BYTES or not header.startswith(_SIGNATURE):
        raise zipfile.BadZipFile(f"no member begins at byte {header_offset}")
    name_bytes, extra_bytes = struct.unpack("<HH", header[26:30])
    return header_offset + LOCAL_HEADER_BYTES + int(name_bytes) + int(extra_bytes)


def _name(info: zipfile.ZipInfo) -> str:
    """The member's name. Without the flag that says UTF-8 Python reads code page 437, which is what old DOS programs
    wrote; `zip` on Linux and macOS leave the flag out and write UTF-8 all the same."""
    if info.flag_bits & _NAME_IS_UTF8 or info.filename.isascii():
        return info.filename
    try:
        return info.filename.encode("cp437").decode()
    except UnicodeError:  # code page 437 indeed
        return info.filename


def _place(info: zipfile.ZipInfo, end: int) -> Extent | Unreadable:
    """`end`: where the next member, or the directory, begins."""
    if info.flag_bits & _ENCRYPTED:
        return Unreadable("encrypted", "it is encrypted; unpack the archive with its password")
    packing = _PACKINGS.get(info.compress_type)
    if packing is None:
        method = _METHODS.get(info.compress_type, f"method {info.compress_type}")
        return Unreadable(
            "unsupported_compression", f"it is packed with {method}, read are stored and deflated; unpack the archive"
        )
    if packing == "stored" and info.compress_size != info.file_size:
        said = f"{info.file_size} bytes are said to be stored in {info.compress_size}; copy the archive again"
        return Unreadable("broken_archive", said)
    if info.header_offset + LOCAL_HEADER_BYTES + info.compress_size > end:
        return Unreadable("broken_archive", "its data are cut off or overlap another member's; copy the archive again")
    return Extent(info.header_offset, info.compress_size, packing, info.file_size, info.CRC)
