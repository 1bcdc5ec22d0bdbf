"""Reads what committed units say of themselves: one ranged read per file, rows and audio untouched.

Contract: a file under `stems/` that is truncated, foreign or misnamed is reported and skipped, it never ends the
reading; a file system that does not answer raises, so that a dropped connection is not mistaken for a dataset without
those units.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from operators.records import FOOTER_KEY, UnitRecord
from operators.whole_file import Place, place

TAIL_BYTES: Final = 128 * 2**10
"""Read from the end of each file; a footer of 32 queries on ten minutes takes about 60 kB. A longer one costs a second
read."""
MAGIC: Final = b"PAR1"
READERS: Final = 16
CHUNK_FILES: Final = 256

logger = logging.getLogger(__name__)
OnUnreadable = Callable[[str, str], None]


class UnitFileError(ValueError):
    """A file under `stems/` that is not a committed unit; the message says why."""


def log_unreadable(uri: str, reason: str) -> None:
    """The default listener: a warning, so that nothing is skipped in silence."""
    logger.warning("skipped %s: %s", uri, reason)


def _footer(file: Place, size_bytes: int) -> bytes:
    """The file's end from the beginning of its footer on."""
    tail: bytes = file.fs.cat_file(file.path, start=max(0, size_bytes - TAIL_BYTES), end=size_bytes)
    if len(tail) < 12 or tail[-4:] != MAGIC:
        raise UnitFileError(f"{size_bytes} bytes that do not end as a Parquet file does; cut off, or something else")
    needed = int.from_bytes(tail[-8:-4], "little") + 8
    if needed > size_bytes:
        raise UnitFileError(f"its footer claims {needed} bytes of a file of {size_bytes}")
    if needed > len(tail):
        tail = file.fs.cat_file(file.path, start=size_bytes - needed, end=size_bytes)
    return tail[-needed:]


def read_record(file: Place, size_bytes: int) -> UnitRecord:
    """The record in the footer of one unit's file. Raises UnitFileError for a file that is not one."""
    footer = MAGIC + _footer(file, size_bytes)
    try:
        metadata = pq.read_metadata(pa.BufferReader(footer)).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise UnitFileError(f"its Parquet footer is damaged: {error}") from error
    if FOOTER_KEY not in metadata:
        raise UnitFileError(f"a Parquet file without {FOOTER_KEY.decode()} in its footer: not written by soundquarry")
    try:
        record = UnitRecord.model_validate_json(metadata[FOOTER_KEY])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UnitFileError(f"the unit's record does not fit this version: {where}: {first['msg']}") from error
    if not file.path.endswith(f"/{record.unit_id[:2]}/{record.unit_id}.parquet"):
        raise UnitFileError(f"it holds unit {record.unit_id}, whose place is elsewhere: a copy, or renamed")
    return record


def read_records(out_uri: str, on_unreadable: OnUnreadable = log_unreadable) -> Iterator[UnitRecord]:
    """Every committed unit's record, in order of the files' paths; `on_unreadable(uri, reason)` hears of the others."""
    stems = place(out_uri) / "stems"
    files = list(stems.find(".parquet").items())

    def read(path: str, size_bytes: int) -> UnitRecord | tuple[str, str] | None:
        file = Place(stems.fs, path, stems.is_local)
        try:
            return read_record(file, size_bytes)
        except UnitFileError as error:
            return file.uri, str(error)
        except FileNotFoundError:  # replaced or removed since it was listed
            return None

    with ThreadPoolExecutor(READERS, thread_name_prefix="footers") as readers:
        for first in range(0, len(files), CHUNK_FILES):
            chunk = files[first : first + CHUNK_FILES]
            for outcome in readers.map(read, *zip(*chunk, strict=True)):
                if isinstance(outcome, UnitRecord):
                    yield outcome
                elif outcome is not None:
                    on_unreadable(*outcome)
