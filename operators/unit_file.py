"""A unit's Parquet file: stem rows stream in, the unit's record goes into the footer, the file appears whole.

Contract: `write` from any thread; `commit` writes what is buffered and the `UnitRecord`, and only then does the file
exist under its name. Leaving the `with` block without `commit` leaves nothing. A full disk is a `SourceFailure` of
class `disk_full` at stage commit.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from operators.footers import UnitFileError, read_record
from operators.records import FOOTER_KEY, UnitRecord
from operators.schema import STEM_SCHEMA
from operators.standing import outranks
from operators.whole_file import WholeFile, failing_as_rows

ROW_GROUP_BYTES: Final = 32 * 2**20
"""Audio per row group: what a writer holds in memory, and what a reader that wants one row's neighbours fetches at
once."""

AUDIO_COLUMNS: Final = ("audio.bytes", "audio.path")
REPEATED_COLUMNS: Final = (
    "run_id",
    "unit_id",
    "member_id",
    "source_uri",
    "source_version",
    "query_id",
    "query_text",
    "ucs_cat_id",
    "channel_layout",
    "model_signature",
    "catalog_hash",
)
"""Worth a dictionary: the same few values in every row."""


def unit_path(out_uri: str, unit_id: str) -> str:
    """Where the unit's file lies: `OUT/stems/<first two of unit_id>/<unit_id>.parquet`.

    >>> unit_path("s3://bucket/out/", "ab12")
    's3://bucket/out/stems/ab/ab12.parquet'
    """
    return f"{out_uri.rstrip('/')}/stems/{unit_id[:2]}/{unit_id}.parquet"


@lru_cache(maxsize=1)
def _leaf_paths() -> tuple[str, ...]:
    """Parquet's dotted name of every leaf column, asked of Parquet itself."""
    sink = pa.BufferOutputStream()
    pq.write_table(STEM_SCHEMA.empty_table(), sink)
    schema = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    return tuple(schema.column(index).path for index in range(len(schema)))


@dataclass(frozen=True)
class CommittedFile:
    """The unit's file as it now lies in OUT, and the record in its footer."""

    uri: str
    size_bytes: int
    record: UnitRecord


class UnitFileWriter:
    """Streams the stem rows of one unit into its file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as out, UnitFileWriter(out, "ab12") as writer:
    ...     committed = writer.commit(UnitRecord(unit_id="ab12", run_id="r", member_ids=[], sources=[], coverage=[]))
    ...     committed.uri.removeprefix(out)
    '/stems/ab/ab12.parquet'
    """

    def __init__(self, out_uri: str, unit_id: str, *, row_group_bytes: int = ROW_GROUP_BYTES) -> None:
        self.unit_id = unit_id
        self.uri = unit_path(out_uri, unit_id)
        self._row_group_bytes = row_group_bytes
        self._lock = threading.Lock()
        self._rows: list[Mapping[str, object]] = []
        self._buffered_bytes = 0
        self._stems_of: Counter[tuple[object, object]] = Counter()
        leaves = _leaf_paths()
        searchable = [leaf for leaf in leaves if leaf not in AUDIO_COLUMNS]
        self._whole = WholeFile(self.uri)
        self._parquet = pq.ParquetWriter(
            self._whole.file,
            STEM_SCHEMA,
            compression={leaf: "none" if leaf in AUDIO_COLUMNS else "zstd" for leaf in leaves},
            use_dictionary=list(REPEATED_COLUMNS),
            write_statistics=searchable,
            write_page_index=True,
            write_batch_size=1,  # page sizes are looked at once a batch: without it a row group's audio is one page
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abort()

    def write(self, row: Mapping[str, object]) -> None:
        """Adds one stem row, its keys the columns of `STEM_SCHEMA`. Safe to call from several threads."""
        if row.keys() != set(STEM_SCHEMA.names):
            difference = sorted(row.keys() ^ set(STEM_SCHEMA.names))
            raise ValueError(f"a stem row has exactly the columns of STEM_SCHEMA; missing or foreign: {difference}")
        if row["unit_id"] != self.unit_id:
            raise ValueError(f"a row of unit {row['unit_id']} in the file of unit {self.unit_id}")
        audio = row["audio"]
        size_bytes = len(audio["bytes"]) if isinstance(audio, Mapping) else 0
        with self._lock:
            self._rows.append(row)
            self._stems_of[row["member_id"], row["track"]] += 1
            self._buffered_bytes += size_bytes
            if self._buffered_bytes >= self._row_group_bytes:
                self._write_row_group()

    def _write_row_group(self) -> None:
        if not self._rows:
            return
        table = pa.Table.from_pylist(self._rows, schema=STEM_SCHEMA)
        self._rows, self._buffered_bytes = [], 0
        with failing_as_rows(self.uri):
            self._parquet.write_table(table, row_group_size=len(table))

    def commit(self, record: UnitRecord, *, keep_better: bool = True) -> CommittedFile:
        """Makes the file appear with `record` in its footer.

        A file that is there already and tells better of the unit's members stays (`keep_better`): a second try that
        fails never undoes a first one that did not. Raises ValueError when the record's stem counts are not the rows
        written.
        """
        with self._lock:
            self._check(record)
            if keep_better and (better := self._better_than(record)):
                self.abort()
                return better
            self._write_row_group()
            with failing_as_rows(self.uri):
                self._parquet.add_key_value_metadata({FOOTER_KEY: record.model_dump_json().encode()})
                self._parquet.close()
                size_bytes = self._whole.file.tell()
            self._whole.publish()
            return CommittedFile(self.uri, size_bytes, record)

    def _better_than(self, record: UnitRecord) -> CommittedFile | None:
        file = self._whole.place
        if all(source.status == "ok" for source in record.sources) or not file.exists():
            return None
        try:
            size_bytes = int(file.fs.size(file.path))
            there = read_record(file, size_bytes)
        except (UnitFileError, FileNotFoundError):
            return None
        return CommittedFile(self.uri, size_bytes, there) if outranks(there, record) else None

    def _check(self, record: UnitRecord) -> None:
        if record.unit_id != self.unit_id:
            raise ValueError(f"the record of unit {record.unit_id} for the file of unit {self.unit_id}")
        told: Counter[tuple[object, object]] = Counter()
        for source in record.sources:
            told[source.member_id, source.track] += source.stems
        if +told != self._stems_of:
            raise ValueError(
                f"unit {self.unit_id}: the record tells of {dict(+told)} stems, written were {dict(self._stems_of)}"
            )

    def abort(self) -> None:
        """Leaves nothing behind; does nothing after `commit`."""
        self._parquet.is_open = False  # or it would write its footer when it is collected
        self._whole.abort()
