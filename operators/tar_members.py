"""The files inside a plain (uncompressed) tar and their places in it, one header in memory at a time."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import IO

from operators.archive_slice import Extent, plain_extent


def tar_members(file: IO[bytes]) -> Iterator[tuple[str, Extent]]:
    """Name and place of every regular file, in the tar's own order; raises `tarfile.TarError` where it is damaged."""
    with tarfile.open(fileobj=file, mode="r:") as archive:
        while (info := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # else a million members stay in memory
            if info.isreg() and not info.issparse():
                yield info.name, plain_extent(info.offset_data, info.size)
