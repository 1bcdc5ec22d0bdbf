"""Checks a dataset against itself: files, footers, rows, derived tables, plan.

Contract: `verify` changes nothing and never stops at the first fault; every finding names the file and the next step.
Temporary files of writers are told of and are harmless.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from tempfile import TemporaryFile
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from operators.dataset import SignatureError
from operators.derived import Writer, derived_writers
from operators.failure import SourceFailure
from operators.footers import UnitFileError, read_record
from operators.media.flac import decode_flac
from operators.records import UnitRecord
from operators.schema import PLAN_SCHEMA, STEM_SCHEMA
from operators.standing import WITH_STEMS, Ledger
from operators.whereabouts import Whereabouts, read_listings
from operators.whole_file import Place, find_temporary, place

READERS: Final = 8
NAMED: Final = 5
"""So many of many are named in a message."""
SEARCHABLE: Final = [name for name in STEM_SCHEMA.names if name not in ("audio", "embedding")]
ROWS_COMPARED: Final = 4096
STRETCH_SECONDS: Final = 60.0
RERUN: Final = "run the same command again"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be (or, when `harmless`, worth knowing)."""

    kind: str
    where: str
    message: str
    harmless: bool = False


@dataclass
class VerifyResult:
    """What was looked at, and what was found."""

    out_uri: str
    units: int = 0
    stems: int = 0
    members: int = 0
    planned_members: int = 0
    decoded: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return all(finding.harmless for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """The result as it is printed in JSON."""
        return {"clean": self.clean, **asdict(self)}


@dataclass
class _UnitCheck:
    """What one file showed."""

    uri: str
    record: UnitRecord | None = None
    stem_ids: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))
    decoded: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, kind: str, message: str) -> None:
        self.findings.append(Finding(kind, self.uri, message))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _check_counts(check: _UnitCheck, record: UnitRecord, rows: pa.Table) -> None:
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


def _check_columns(check: _UnitCheck, record: UnitRecord, rows: pa.Table) -> None:
    """Every row belongs here, spans at most a minute, and holds numbers that are numbers."""
    foreign = set(rows["unit_id"].to_pylist()) - {record.unit_id}
    if foreign:
        check.add("foreign_rows", f"rows of other units: {_some(sorted(map(str, foreign)))}")
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


def _check_audio(check: _UnitCheck, parquet: pq.ParquetFile) -> None:
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


def _check_unit(file: Place, size_bytes: int, decode: bool) -> _UnitCheck:
    check = _UnitCheck(file.uri)
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


def _check_units(out_uri: str, result: VerifyResult, decode: bool) -> Ledger:
    stems = place(out_uri) / "stems"
    files = [(Place(stems.fs, path, stems.is_local), size) for path, size in stems.find(".parquet").items()]
    ledger = Ledger()
    ids: list[pa.Array] = []
    homes: list[str] = []
    with ThreadPoolExecutor(READERS, thread_name_prefix="verify") as readers:
        for check in readers.map(lambda pair: _check_unit(pair[0], pair[1], decode), files):
            result.findings += check.findings
            result.stems += len(check.stem_ids)
            result.decoded += check.decoded
            ids.append(check.stem_ids)
            homes.append(check.uri)
            if check.record is not None:
                ledger.add(check.record)
                _check_members(check.uri, check.record, result)
    result.units, result.members = ledger.units, len(ledger.members)
    _check_superseded(ledger, result)
    _check_unique(ids, homes, result)
    return ledger


def _check_members(uri: str, record: UnitRecord, result: VerifyResult) -> None:
    silent = sorted(set(record.member_ids) - {source.member_id for source in record.sources})
    if silent:
        message = f"it tells nothing of its members {_some(silent)}; {RERUN}"
        result.findings.append(Finding("silent_member", uri, message))


def _check_superseded(ledger: Ledger, result: VerifyResult) -> None:
    """Rule 2 of `operators/standing.py`: a record that no longer counts has no rows."""
    for unit_id, stems in sorted((+ledger.superseded_stems).items()):
        result.findings.append(
            Finding(
                "counted_twice",
                unit_id,
                f"{stems} stem rows of members that another unit tells better of; {RERUN}, it takes them out",
            )
        )


def _check_unique(ids: list[pa.Array], homes: list[str], result: VerifyResult) -> None:
    counts = pc.value_counts(pa.chunked_array(ids, pa.string()))
    often = {item["values"] for item in counts.filter(pc.greater(counts.field("counts"), 1)).to_pylist()}
    if not often:
        return
    value_set = pa.array(sorted(often, key=str), pa.string())
    where = [home for home, array in zip(homes, ids, strict=True) if pc.any(pc.is_in(array, value_set)).as_py()]
    message = f"{len(often)} stem_ids occur more than once ({_some(sorted(map(str, often)))}) in {_some(where)}"
    result.findings.append(Finding("stem_id_twice", result.out_uri, message))


def _rows(parquet: pq.ParquetFile) -> Iterator[pa.Table]:
    """The rows in pieces of `ROWS_COMPARED`, however the file's row groups are cut."""
    rest = parquet.schema_arrow.empty_table()
    for batch in parquet.iter_batches(batch_size=ROWS_COMPARED):
        rest = pa.concat_tables([rest, pa.Table.from_batches([batch])])
        while len(rest) >= ROWS_COMPARED:
            yield rest.slice(0, ROWS_COMPARED)
            rest = rest.slice(ROWS_COMPARED)
    yield rest


def _same_rows(one: pq.ParquetFile, other: pq.ParquetFile) -> bool:
    if one.metadata.num_rows != other.metadata.num_rows or not one.schema_arrow.equals(other.schema_arrow):
        return False
    return all(left.equals(right) for left, right in zip(_rows(one), _rows(other), strict=True))


def _check_derived(out_uri: str, ledger: Ledger, result: VerifyResult) -> None:
    """Each derived table is what the committed units give."""
    try:
        writers = derived_writers(out_uri, ledger)
    except SignatureError as error:
        result.findings.append(Finding("signature", out_uri, str(error)))
        return
    for name, write in writers.items():
        file = place(out_uri) / name
        if file.exists():
            _check_table(file, write, result)
        elif ledger.units:
            message = f"missing: the run did not come to its end; {RERUN}"
            result.findings.append(Finding("derived_missing", file.uri, message))


def _check_table(file: Place, write: Writer, result: VerifyResult) -> None:
    with TemporaryFile() as rebuilt:
        try:
            write(rebuilt)
        except (pa.ArrowException, OSError, SourceFailure, ValueError) as error:
            message = f"it cannot be made from the committed units ({error})"
            result.findings.append(Finding("derived_unmade", file.uri, message))
            return
        try:
            with file.fs.open(file.path, "rb") as handle:
                same = _same_rows(pq.ParquetFile(handle), pq.ParquetFile(rebuilt))
            message = f"it is not what the committed units add up to; {RERUN}, it is rebuilt at the end"
        except (pa.ArrowException, OSError) as error:
            same, message = False, f"it does not open ({error}); {RERUN}, it is rebuilt at the end"
        if not same:
            result.findings.append(Finding("derived_differs", file.uri, message))


def _check_plan(out_uri: str, ledger: Ledger, result: VerifyResult) -> None:
    """Every member that was planned is committed, unless its source is gone, or has another version since."""
    plan = place(out_uri) / "plan"
    missing: dict[str, tuple[str, str, str]] = {}
    latest: dict[str, Whereabouts] = {}
    planned: set[str] = set()
    for path in plan.find(".parquet"):
        run_id = PurePosixPath(path).stem
        try:
            with plan.fs.open(path, "rb") as handle:
                for batch in pq.ParquetFile(handle).iter_batches(columns=["members"]):
                    for member in (member for members in batch["members"].to_pylist() for member in members):
                        planned.add(member["member_id"])
                        latest[member["source_uri"]] = Whereabouts(run_id, member["source_version"])
                        if member["member_id"] not in ledger.members:
                            missing[member["member_id"]] = (
                                member["source_uri"],
                                member["source_version"],
                                _member_name(member),
                            )
        except (pa.ArrowException, OSError, KeyError) as error:
            message = f"not a plan of this version ({type(error).__name__}: {error}); expected {PLAN_SCHEMA.names}"
            result.findings.append(Finding("plan_unreadable", path, message))
    result.planned_members = len(planned)
    try:
        for uri, word in read_listings(out_uri).items():
            if uri in latest and word.run_id >= latest[uri].run_id:
                latest[uri] = word
    except OSError as error:
        result.findings.append(Finding("listing_unreadable", out_uri, str(error)))
    for over, kind, said in (
        (False, "member_missing", f"planned members are not committed; {RERUN}"),
        (
            True,
            "source_replaced",
            "planned members are of sources that are gone or have another version; nothing to do",
        ),
    ):
        names = sorted(name for uri, version, name in missing.values() if latest[uri].is_over(version) == over)
        if names:
            message = f"{len(names)} of {len(planned)} {said}: {_some(names)}"
            result.findings.append(Finding(kind, plan.uri, message, harmless=over))


def _member_name(member: dict[str, Any]) -> str:
    end = member["end_seconds"]
    span = (
        ""
        if member["track"] is None
        else f" track {member['track']}, {member['start_seconds']:g} s to {end or math.inf:g} s"
    )
    return f"{member['source_uri']}{span}"


def verify_dataset(out_uri: str, *, decode: bool = False) -> VerifyResult:
    """Everything that is wrong with a dataset; with `decode` every stem's audio is decoded as well (30 ms a minute)."""
    result = VerifyResult(out_uri)
    ledger = _check_units(out_uri, result, decode)
    _check_derived(out_uri, ledger, result)
    _check_plan(out_uri, ledger, result)
    for path in find_temporary(out_uri):
        message = "a writer's temporary file: one at work, or killed; the next run sweeps it"
        result.findings.append(Finding("temporary_file", str(path), message, harmless=True))
    return result
