"""Inflating a deflated member of a zip piece by piece, never beyond the size that the zip tells, and checked."""

from __future__ import annotations

import zipfile
import zlib
from typing import BinaryIO, Final

PIECE_BYTES: Final = 1 << 20  # what comes out at a time: a kilobyte of zeros may stand for a megabyte


class Inflater:
    """Takes deflated bytes, writes what they stand for to `file`; raises `zipfile.BadZipFile` when they are damaged."""

    def __init__(self, file: BinaryIO, size_bytes: int, crc32: int) -> None:
        self._file = file
        self._size_bytes = size_bytes
        self._wanted_crc32 = crc32
        self._crc32 = 0
        self._written = 0
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)

    def write(self, data: bytes) -> None:
        """Takes the next deflated bytes."""
        try:
            while data and not self._stream.eof:
                self._put(self._stream.decompress(data, PIECE_BYTES))
                data = self._stream.unconsumed_tail
        except zlib.error as error:
            raise zipfile.BadZipFile(f"its data are damaged ({error})") from None

    def finish(self) -> None:
        """Checks, after the last byte, that all is there."""
        self._put(self._stream.flush())
        if not self._stream.eof or self._written != self._size_bytes:
            raise zipfile.BadZipFile(f"{self._written} of {self._size_bytes} bytes are there, the rest is cut off")
        if self._crc32 != self._wanted_crc32:
            raise zipfile.BadZipFile(f"its checksum is {self._crc32:08x}, not {self._wanted_crc32:08x}")

    def _put(self, data: bytes) -> None:
        self._written += len(data)
        if self._written > self._size_bytes:
            raise zipfile.BadZipFile(f"there is more in it than the {self._size_bytes} bytes that the zip tells")
        self._crc32 = zlib.crc32(data, self._crc32)
        self._file.write(data)
