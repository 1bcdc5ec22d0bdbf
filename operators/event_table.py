"""`LIB/events.parquet`: the events of a library, ranked within their query, near-duplicates marked, without audio.

Contract: made from the committed rows that count alone, at any time, and the same whatever the order of the files.
Sorted by query_id and rank. One query at a time is in memory: of a million events of one query about 3 GB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from tempfile import TemporaryFile, gettempdir
from typing import BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from operators.counted_rows import counted_rows
from operators.dataset import read_ledger
from operators.embeddings import embedding_matrix
from operators.event_score import scores_of
from operators.near_duplicates import DUPLICATE_COSINE, near_duplicates
from operators.schema import EVENT_TABLE_SCHEMA, STEM_SCHEMA
from operators.standing import Ledger
from operators.unit_file import REPEATED_COLUMNS
from operators.whole_file import WholeFile, failing_as_rows, place

EVENTS_FILE: Final = "events.parquet"
ROWS_PER_GROUP: Final = 32_768
"""16 MiB of embeddings of 256 numbers."""
SPOOLED_ROWS: Final = 8192
_CARRIED: Final = [name for name in EVENT_TABLE_SCHEMA.names if name in STEM_SCHEMA.names]
"""Columns that go from the stem rows into the table as they are."""
_SPOOL_SCHEMA: Final = pa.schema([STEM_SCHEMA.field(name) for name in [*_CARRIED, "events"]])


class _Spool:
    """Rows of a query found together, in a temporary file: units hold their queries mixed."""

    def __init__(self, file: BinaryIO, tables: Iterable[pa.Table]) -> None:
        self._file = file
        self._batches: dict[str, list[tuple[int, int]]] = {}
        waiting: list[pa.Table] = []
        rows = 0
        for table in tables:
            waiting.append(table)
            rows += len(table)
            if rows >= SPOOLED_ROWS:
                self._write(pa.concat_tables(waiting))
                waiting, rows = [], 0
        if waiting:
            self._write(pa.concat_tables(waiting))
        with _spooling():
            file.flush()

    def _write(self, rows: pa.Table) -> None:
        for query in pc.unique(rows["query_id"]).to_pylist():
            of_query = rows.filter(pc.equal(rows["query_id"], query)).combine_chunks()
            for batch in of_query.to_batches():
                data = batch.serialize()
                self._batches.setdefault(query, []).append((self._file.tell(), data.size))
                with _spooling():
                    self._file.write(data)

    def queries(self) -> list[str]:
        """Every query that has rows, sorted."""
        return sorted(self._batches)

    def rows(self, query: str) -> pa.Table:
        """The rows of one query."""
        return pa.Table.from_batches(self._read(query), _SPOOL_SCHEMA)

    def _read(self, query: str) -> Iterator[pa.RecordBatch]:
        for position, size_bytes in self._batches[query]:
            self._file.seek(position)
            yield pa.ipc.read_record_batch(pa.py_buffer(self._file.read(size_bytes)), _SPOOL_SCHEMA)


@contextmanager
def _temporary_file() -> Iterator[BinaryIO]:
    file = TemporaryFile()  # noqa: SIM115 (closed below)
    try:
        yield file
    finally:
        with suppress(OSError):  # closing flushes, and a full disk says so again
            file.close()


def _spooling() -> AbstractContextManager[None]:
    """A disk that is full here is not the library's."""
    return failing_as_rows(f"temporary files in {gettempdir()} (the variable TMPDIR names another place)")


def ranked_events(rows: pa.Table, threshold: float = DUPLICATE_COSINE) -> pa.Table:
    """The event rows of one query as its part of the table: best score first, then presence, source and start.

    Raises ValueError for a row that does not hold exactly one event.
    """
    events = rows["events"].combine_chunks()
    strange = len(rows) - (pc.sum(pc.equal(pc.list_value_length(events), 1)).as_py() or 0)
    if strange:
        raise ValueError(
            f"{strange} rows of a library that do not hold exactly one event; it was not mined, or by hand"
        )
    event = events.flatten()
    rows = rows.drop_columns(["events"])
    rows = rows.append_column("event_start_seconds", event.field("start_seconds"))
    rows = rows.append_column("event_end_seconds", event.field("end_seconds"))
    rows = rows.append_column("score", pa.array(scores_of(rows), pa.float32()))
    keys = [("score", "descending"), ("presence", "descending")]
    keys += [(name, "ascending") for name in ("source_uri", "track", "event_start_seconds", "stem_id")]
    rows = rows.take(pc.sort_indices(rows, sort_keys=keys))
    rows = rows.append_column("rank", pa.array(np.arange(1, len(rows) + 1, dtype=np.int32)))
    rows = rows.append_column("duplicate_of", _originals(rows, threshold))
    return rows.select(EVENT_TABLE_SCHEMA.names).cast(EVENT_TABLE_SCHEMA)


def _originals(rows: pa.Table, threshold: float) -> pa.ChunkedArray:
    """The stem_id of the event that each row repeats, null for a row that repeats none, or has no embedding."""
    embedded, vectors = embedding_matrix(rows["embedding"])
    repeated = near_duplicates(vectors, threshold)
    originals = np.full(len(rows), -1, np.int64)
    originals[embedded[repeated >= 0]] = embedded[repeated[repeated >= 0]]
    return rows["stem_id"].take(pa.array(originals, mask=originals < 0))


def write_events(file: BinaryIO, out_uri: str, ledger: Ledger, threshold: float = DUPLICATE_COSINE) -> int:
    """Streams the table, query by query, and returns its number of rows.

    Raises SourceFailure (disk_full) when the temporary files have no room.
    """
    written = 0
    columns = [name for name in REPEATED_COLUMNS if name in EVENT_TABLE_SCHEMA.names]
    with (
        _temporary_file() as spooled,
        pq.ParquetWriter(file, EVENT_TABLE_SCHEMA, compression="zstd", use_dictionary=columns) as writer,
    ):
        spool = _Spool(spooled, counted_rows(out_uri, ledger, _SPOOL_SCHEMA.names))
        for query in spool.queries():
            table = ranked_events(spool.rows(query), threshold)
            writer.write_table(table, row_group_size=ROWS_PER_GROUP)
            written += len(table)
    return written


def rebuild_events(out_uri: str, ledger: Ledger | None = None) -> int:
    """Writes `LIB/events.parquet` from the committed rows and returns its number of rows."""
    ledger = ledger if ledger is not None else read_ledger(out_uri)
    with WholeFile((place(out_uri) / EVENTS_FILE).uri) as whole:
        with failing_as_rows(whole.place.uri):
            rows = write_events(whole.file, out_uri, ledger)
        whole.publish()
    return rows
