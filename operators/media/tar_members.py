"""The files inside a plain (uncompressed) tar and their places in it, one header in memory at a time.

A hard link has no bytes of its own: it is a second name for a file that came before, of which the last ones are
remembered. Symbolic links are skipped: what they lead to is listed under its own name.
"""

from __future__ import annotations

import tarfile
from collections import OrderedDict
from collections.abc import Iterator
from typing import IO, Final

from operators.media.archive_slice import Extent, Unreadable, plain_extent

REMEMBERED_FILES: Final = 50_000  # 300 bytes each, so 15 MB; tar writes a link when it meets the second name


def tar_members(file: IO[bytes]) -> Iterator[tuple[str, Extent | Unreadable]]:
    """Name and place of every regular file, in the tar's own order; raises `tarfile.TarError` where it is damaged."""
    files: OrderedDict[str, Extent | Unreadable] = OrderedDict()
    with tarfile.open(fileobj=file, mode="r:") as archive:
        while (info := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # else a million members stay in memory
            if info.islnk():
                yield info.name, files.get(info.linkname) or _lost(info.linkname)
            elif info.isreg():
                place = _sparse() if info.issparse() else plain_extent(info.offset_data, info.size)
                files[info.name] = place
                files.move_to_end(info.name)
                if len(files) > REMEMBERED_FILES:
                    files.popitem(last=False)
                yield info.name, place


def _sparse() -> Unreadable:
    return Unreadable("sparse_member", "its holes were left out; unpack the archive and pack it again without --sparse")


def _lost(name: str) -> Unreadable:
    said = (
        f"it is a hard link to {name}, which is none of the {REMEMBERED_FILES} files before it; unpack the archive and "
        "pack it again with --hard-dereference"
    )
    return Unreadable("hard_link", said)
