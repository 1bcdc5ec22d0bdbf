"""A byte range of an open file as a file of its own, so that an archive inside an archive is read where it lies."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class FileRange(io.RawIOBase):
    """The bytes `[offset, offset + size_bytes)` of `file`. Several of one file may be read in turns.

    >>> FileRange(io.BytesIO(b"0123456789"), 2, 5).read()
    b'23456'
    """

    def __init__(self, file: BinaryIO, offset: int, size_bytes: int) -> None:
        self._file = file
        self._offset = offset
        self._size_bytes = size_bytes
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        if base + offset < 0:
            raise OSError(f"a seek to {base + offset}, in front of the range")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._size_bytes - self._position))
        self._file.seek(self._offset + self._position)
        data = self._file.read(count)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)
