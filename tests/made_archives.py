"""Archives made in code for the tests, and what is found and read in them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from made_media import ffmpeg

from operators.media.access import for_decoding
from operators.media.archive_slice import layers
from operators.media.scratch_cache import ScratchCache
from operators.source import Source
from operators.sources import list_sources

Members = Iterable[tuple[str, bytes]]


def tar_of(members: Members) -> bytes:
    """A tar that holds `members`."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return whole.getvalue()


def zip_of(members: Members, *, deflated: bool = False, zip64: bool = False) -> bytes:
    """A zip that holds `members`; `zip64` writes the long form of sizes even where the short one would do."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED) as archive:
        for name, data in members:
            with archive.open(name, "w", force_zip64=zip64) as file:
                file.write(data)
    return whole.getvalue()


def listed(path: Path, data: bytes) -> list[Source]:
    """What is listed of a file that holds `data`."""
    path.write_bytes(data)
    return list(list_sources([str(path)]))


def bytes_of(source: Source, scratch: Path) -> bytes:
    """What ffmpeg is given to read, read by ffmpeg itself."""
    with for_decoding(source.uri, source.version, ScratchCache(scratch), timeout_seconds=10) as address:
        return ffmpeg("-f", "data", "-i", address, "-map", "0", "-c", "copy", "-f", "data", "pipe:1")


def problems(sources: list[Source]) -> list[tuple[str, str | None]]:
    """Names of members with the class of what is wrong with them."""
    named = [(layers(s.uri)[0].rpartition("://")[2], s.problem) for s in sources]
    return [(name, problem.error_class if problem else None) for name, problem in named]
