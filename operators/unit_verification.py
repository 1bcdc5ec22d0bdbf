"""Checks one unit file against itself: its columns, its footer, its rows, and with `decode` the audio of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from operators.findings import RERUN, Finding, some
from operators.footers import UnitFileError, read_record
from operators.media.flac import decode_flac
from operators.records import UnitRecord
from operators.schema import STEM_SCHEMA
from operators.standing import WITH_STEMS
from operators.whole_file import Place

SEARCHABLE: Final = [name for name in STEM_SCHEMA.names if name not in ("audio", "embedding")]
STRETCH_SECONDS: Final = 60.0


@dataclass
class UnitCheck:
    """What one file showed."""

    uri: str
    record: UnitRecord | None = None
    stem_ids: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))
    decoded: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, kind: str, message: str) -> None:
        self.findings.append(Finding(kind, self.uri, message))


def _check_counts(check: UnitCheck, record: UnitRecord, rows: pa.Table) -> None:
    """Rows per source track and per query are what the footer tells."""
    keys = list(zip(*(rows[name].to_pylist() for name in ("member_id", "track", "query_id")), strict=True))
    of_track = Counter((member_id, track) for member_id, track, _ in keys)
    of_query = Counter(keys)
    told_of_track: Counter[tuple[Any, ...]] = Counter()
    told_of_query: Counter[tuple[Any, ...]] = Counter()
    for source in record.sources:
        told_of_track[source.member_id, source.track] += source.stems
        if source.stems and source.status not in WITH_STEMS:
            check.add(
                "stems_of_failure", f"{source.source_uri} is {source.status} and yet has {source.stems} stem rows"
            )
    for coverage in record.coverage:
        told_of_query[coverage.member_id, coverage.track, coverage.query_id] += coverage.stems
    for told, counted in ((told_of_track, of_track), (told_of_query, of_query)):
        for key in sorted((told.keys() | counted.keys()), key=str):
            if told[key] != counted[key]:
                what = " ".join(str(part) for part in key)
                check.add(
                    "row_count", f"{what}: the footer tells of {told[key]} stem rows, the file has {counted[key]}"
                )


def _check_columns(check: UnitCheck, record: UnitRecord, rows: pa.Table) -> None:
    """Every row belongs here, spans at most a minute, and holds numbers that are numbers."""
    foreign = set(rows["unit_id"].to_pylist()) - {record.unit_id}
    if foreign:
        check.add("foreign_rows", f"rows of other units: {some(sorted(map(str, foreign)))}")
    for name in STEM_SCHEMA.names:
        if name in rows.column_names and pa.types.is_floating(rows.schema.field(name).type):
            values = rows[name].drop_null()
            bad = len(values) - (pc.sum(pc.is_finite(values)).as_py() or 0)
            if bad:
                check.add("not_a_number", f"{bad} values of {name} are NaN or infinite")
    seconds = pc.subtract(rows["end_seconds"], rows["start_seconds"]).to_pylist()
    wrong = [value for value in seconds if value is None or not 0 < value <= STRETCH_SECONDS + 1e-6]
    if wrong:
        check.add("stretch", f"{len(wrong)} rows that do not span 0 to {STRETCH_SECONDS:g} s, the first {wrong[0]} s")


def _check_audio(check: UnitCheck, parquet: pq.ParquetFile) -> None:
    """Each FLAC decodes to the length, rate and channels its row tells."""
    columns = ["stem_id", "start_seconds", "end_seconds", "sample_rate", "channels", "gain_db", "audio"]
    for batch in parquet.iter_batches(batch_size=1, columns=columns):
        (row,) = batch.to_pylist()
        check.decoded += 1
        try:
            samples, sample_rate = decode_flac((row["audio"] or {}).get("bytes") or b"", row["gain_db"] or 0.0)
        except ValueError as error:
            check.add("audio", f"stem {row['stem_id']}: {error}")
            continue
        wanted = (row["channels"], round((row["end_seconds"] - row["start_seconds"]) * row["sample_rate"]))
        if (samples.shape, sample_rate) != (wanted, row["sample_rate"]) or not np.isfinite(samples).all():
            check.add(
                "audio",
                f"stem {row['stem_id']}: [C, T] = {samples.shape} at {sample_rate} Hz, its row tells {wanted} at "
                f"{row['sample_rate']} Hz",
            )


def check_unit(file: Place, size_bytes: int, decode: bool) -> UnitCheck:
    """What the file shows; what cannot be read is a finding too."""
    check = UnitCheck(file.uri)
    try:
        record = read_record(file, size_bytes)
        with file.fs.open(file.path, "rb") as handle:
            parquet = pq.ParquetFile(handle)
            if not parquet.schema_arrow.equals(STEM_SCHEMA):
                check.add("schema", "its columns are not those of this version; it was written by another one")
                return check
            rows = parquet.read(columns=SEARCHABLE)
            check.record = record
            check.stem_ids = rows["stem_id"].combine_chunks()
            _check_counts(check, record, rows)
            _check_columns(check, record, rows)
            if decode:
                _check_audio(check, parquet)
    except UnitFileError as error:
        check.add("not_a_unit", f"{error}. Move it away; if it was one of yours, {RERUN}")
    except (pa.ArrowException, OSError) as error:
        check.add("unreadable", f"{type(error).__name__}: {error}. Remove it and {RERUN}")
    return check
