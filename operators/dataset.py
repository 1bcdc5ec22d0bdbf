"""A dataset as a whole: its signature, what is committed, and the tables derived from the units' footers.

Contract: the footers are the truth. `sources.parquet`, `coverage.parquet` and the totals are made from them (and from
what later runs found of the sources, `operators/whereabouts.py`) alone, at any time, and replace what was there
atomically. Which record counts when several tell of one member: `operators/standing.py`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from operators.footers import OnUnreadable, log_unreadable, read_record, read_records
from operators.records import CoverageRecord, SourceRecord, UnitRecord
from operators.schema import COVERAGE_SCHEMA, SCHEMA_VERSION, SOURCE_SCHEMA
from operators.standing import Ledger, MemberOutcome, merged_status
from operators.unit_file import UnitFileWriter, unit_path
from operators.whereabouts import Whereabouts, whereabouts
from operators.whole_file import WholeFile, failing_as_rows, place

SIGNATURE_FILE: Final = "dataset.json"
SOURCES_FILE: Final = "sources.parquet"
COVERAGE_FILE: Final = "coverage.parquet"
COVERAGE_ROWS_PER_GROUP: Final = 8192
ABSENT: Final = "(not set)"


class SignatureError(ValueError):
    """This OUT was made with another model, other settings or another version; the message lists every difference."""


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}{key}.") if isinstance(inner, Mapping) else {f"{prefix}{key}": inner}
    return flat


def read_signature(out_uri: str) -> dict[str, Any] | None:
    """The signature of a dataset, None when it has none yet. Raises SignatureError when it cannot be read."""
    file = place(out_uri) / SIGNATURE_FILE
    if not file.exists():
        return None
    text = file.fs.cat_file(file.path)
    try:
        signature = json.loads(text)
    except ValueError as error:
        raise SignatureError(
            f"{file.uri} is not JSON ({error}); choose another --out, or remove that file by hand"
        ) from error
    if not isinstance(signature, dict):
        raise SignatureError(f"{file.uri} holds {text[:40]!r}, not a signature; choose another --out")
    return signature


def read_own_signature(out_uri: str) -> dict[str, Any] | None:
    """`read_signature` for those who read the tables. Raises SignatureError for tables of another version."""
    signature = read_signature(out_uri)
    found = SCHEMA_VERSION if signature is None else signature.get("schema_version", ABSENT)
    if found != SCHEMA_VERSION:
        raise SignatureError(
            f"{out_uri} holds tables of version {found}, and this soundquarry reads version {SCHEMA_VERSION}: make it "
            "again with this one, into another --out, or read it with the one that made it"
        )
    return signature


def expect_signature(out_uri: str) -> dict[str, Any]:
    """`read_own_signature` of a dataset that must be there. Raises FileNotFoundError where none lies."""
    signature = read_own_signature(out_uri)
    if signature is None:
        raise FileNotFoundError(f"there is no dataset at {out_uri}: no {SIGNATURE_FILE} lies there; check the path")
    return signature


def create_or_check_signature(out_uri: str, signature: Mapping[str, Any]) -> None:
    """Writes `OUT/dataset.json`, or checks that the one there says the same.

    Of several runs that start at once, one writes it and the others check theirs against it. Raises SignatureError
    naming each differing key with both values.
    """
    text = json.dumps(signature, indent=2, sort_keys=True, allow_nan=False) + "\n"
    there = read_signature(out_uri)
    if there is None:
        with WholeFile((place(out_uri) / SIGNATURE_FILE).uri) as whole:
            whole.file.write(text.encode())
            try:
                whole.publish(exclusive=True)
                return
            except FileExistsError:  # another run was a moment faster
                there = read_signature(out_uri) or {}
    here, there = _flat(json.loads(text)), _flat(there)
    differing = [key for key in sorted(here.keys() | there.keys()) if here.get(key, ABSENT) != there.get(key, ABSENT)]
    if differing:
        lines = [
            f"  {key}: the dataset has {there.get(key, ABSENT)!r}, this run {here.get(key, ABSENT)!r}"
            for key in differing
        ]
        raise SignatureError(
            f"{out_uri} was made with other settings, and one dataset holds one kind of stems:\n"
            + "\n".join(lines)
            + "\nGive this run another --out, or repeat it with the settings of the dataset."
        )


def read_ledger(out_uri: str, on_unreadable: OnUnreadable = log_unreadable) -> Ledger:
    """Every member of the dataset, with the record that counts."""
    ledger = Ledger()
    for record in read_records(out_uri, on_unreadable):
        ledger.add(record)
    return ledger


def committed_members(out_uri: str, ledger: Ledger | None = None) -> dict[str, MemberOutcome]:
    """What is committed, by member_id: status, error class and attempts so far. The next run plans everything else."""
    ledger = ledger if ledger is not None else read_ledger(out_uri)
    return {
        member_id: MemberOutcome(entry.outcome.status, entry.outcome.error_class, entry.attempts)
        for member_id, entry in ledger.members.items()
    }


def _source_row(records: list[SourceRecord], attempts: int, latest: Whereabouts) -> dict[str, Any]:
    """One row for all stretches of a track; the first one that went wrong is told of."""
    records = sorted(records, key=lambda record: (record.start_seconds, record.member_id))
    wrong = [record for record in records if record.status != "ok"]
    message = wrong[0].message if wrong else None
    if wrong and len(records) > 1:
        message = (
            f"{len(wrong)} of {len(records)} stretches, the first at {wrong[0].start_seconds:g} s: "
            f"{message or wrong[0].status}"
        )
    return {
        "source_uri": records[0].source_uri,
        "source_version": records[0].source_version,
        "track": records[0].track,
        "status": merged_status(record.status for record in records),
        "error_class": wrong[0].error_class if wrong else None,
        "message": message,
        "stage": wrong[0].stage if wrong else None,
        "attempts": attempts,
        "seconds": sum(record.seconds for record in records),
        "sample_rate": next((record.sample_rate for record in records if record.sample_rate), None),
        "channels": next((record.channels for record in records if record.channels), None),
        "stems": sum(record.stems for record in records),
        "deleted_at": latest.deleted_at,
        "newer_version": latest.newer_than(records[0].source_version),
    }


def sources_table(out_uri: str, ledger: Ledger) -> pa.Table:
    """One row per source track, or per source (track null) that failed as a whole or has no audio; sorted."""
    latest = whereabouts(out_uri, ledger)
    tracks: dict[tuple[str, str, int], list[SourceRecord]] = {}
    attempts: Counter[tuple[str, str, int]] = Counter()
    for source, tried in ledger.sources():
        key = (source.source_uri, source.source_version, -1 if source.track is None else source.track)
        tracks.setdefault(key, []).append(source)
        attempts[key] = max(attempts[key], tried)
    return pa.Table.from_pylist(
        [_source_row(tracks[key], attempts[key], latest[key[0]]) for key in sorted(tracks)], schema=SOURCE_SCHEMA
    )


def coverage_of(record: UnitRecord, ledger: Ledger) -> list[CoverageRecord]:
    """The unit's coverage, without that of members whose record no longer counts."""
    if record.unit_id not in ledger.superseded:
        return record.coverage
    return [coverage for coverage in record.coverage if ledger.counts(record.unit_id, coverage.member_id)]


def _coverage_tables(out_uri: str, ledger: Ledger) -> Iterator[pa.Table]:
    rows: list[dict[str, Any]] = []
    for record in read_records(out_uri, lambda *_: None):  # the ledger's reading has told of unreadable files
        rows += [
            coverage.model_dump(exclude={"member_id"}) | {"unit_id": record.unit_id}
            for coverage in coverage_of(record, ledger)
        ]
        if len(rows) >= COVERAGE_ROWS_PER_GROUP:
            yield pa.Table.from_pylist(rows, schema=COVERAGE_SCHEMA)
            rows = []
    yield pa.Table.from_pylist(rows, schema=COVERAGE_SCHEMA)


def write_coverage(file: BinaryIO, out_uri: str, ledger: Ledger) -> int:
    """Streams the coverage table, in order of the units' paths, and returns its number of rows."""
    rows = 0
    with pq.ParquetWriter(file, COVERAGE_SCHEMA, compression="zstd") as writer:
        for table in _coverage_tables(out_uri, ledger):
            rows += len(table)
            writer.write_table(table)
    return rows


def rebuild_sources(out_uri: str, ledger: Ledger | None = None) -> pa.Table:
    """Writes `OUT/sources.parquet` from the footers and returns its table."""
    table = sources_table(out_uri, ledger if ledger is not None else read_ledger(out_uri))
    with WholeFile((place(out_uri) / SOURCES_FILE).uri) as whole:
        with failing_as_rows(whole.place.uri):
            pq.write_table(table, whole.file, compression="zstd")
        whole.publish()
    return table


def rebuild_coverage(out_uri: str, ledger: Ledger | None = None) -> int:
    """Writes `OUT/coverage.parquet` from the footers and returns its number of rows."""
    with WholeFile((place(out_uri) / COVERAGE_FILE).uri) as whole:
        with failing_as_rows(whole.place.uri):
            rows = write_coverage(whole.file, out_uri, ledger if ledger is not None else read_ledger(out_uri))
        whole.publish()
    return rows


def remove_superseded(out_uri: str, ledger: Ledger | None = None) -> int:
    """Takes out the stem rows of records that no longer count, and returns how many rows went (rule 2 of
    `operators/standing.py`).

    A unit of which nothing counts any more loses its file. Nothing happens where no such record has rows, which is the
    usual case.
    """
    ledger = ledger if ledger is not None else read_ledger(out_uri)
    units = sorted(unit_id for unit_id, stems in ledger.superseded_stems.items() if stems)
    return sum(_rewrite_without(out_uri, unit_id, ledger.superseded[unit_id]) for unit_id in units)


def _rewrite_without(out_uri: str, unit_id: str, superseded: set[str]) -> int:
    file = place(unit_path(out_uri, unit_id))
    record = read_record(file, int(file.fs.size(file.path)))
    stems = sum(source.stems for source in record.sources if source.member_id in superseded)
    if set(record.member_ids) <= superseded:
        file.fs.rm_file(file.path)
        return stems
    kept = record.model_copy(
        update={
            "member_ids": [member for member in record.member_ids if member not in superseded],
            "sources": [source for source in record.sources if source.member_id not in superseded],
            "coverage": [item for item in record.coverage if item.member_id not in superseded],
        }
    )
    with file.fs.open(file.path, "rb") as old, UnitFileWriter(out_uri, unit_id) as writer:
        for batch in pq.ParquetFile(old).iter_batches(batch_size=8):
            for row in batch.to_pylist():
                if row["member_id"] not in superseded:
                    writer.write(row)
        writer.commit(kept, keep_better=False)
    return stems


@dataclass(frozen=True)
class Totals:
    """What a dataset adds up to."""

    units: int
    sources: int
    sources_by_status: dict[str, int]
    failures_by_class: dict[str, int]
    audio_seconds: float
    stems: int
    pairs: int
    pairs_passed: int
    pairs_silent: int
    wall_seconds: float

    @property
    def gate_skip_rate(self) -> float | None:
        """Share of the (window, query) pairs that no mask was computed for; None when there were none."""
        return 1 - self.pairs_passed / self.pairs if self.pairs else None


def totals(sources: pa.Table, coverage: pa.Table, ledger: Ledger) -> Totals:
    """The sums over the derived tables (`coverage`: only its counting columns are needed).

    Of a source that was committed in several versions the latest says how it is.
    """
    latest = sources.filter(pc.is_null(sources["newer_version"]))
    rows = latest.select(["source_uri", "status", "error_class"]).to_pylist()
    statuses: dict[str, set[Any]] = {}
    for row in rows:
        statuses.setdefault(row["source_uri"], set()).add(row["status"])
    sums = {name: sum(coverage[name].to_pylist()) for name in ("windows", "windows_passed", "windows_silent")}
    return Totals(
        units=ledger.units,
        sources=len(statuses),
        sources_by_status=dict(Counter(merged_status(found) for found in statuses.values())),
        failures_by_class=dict(Counter(row["error_class"] for row in rows if row["error_class"])),
        audio_seconds=sum(sources["seconds"].to_pylist()),
        stems=sum(sources["stems"].to_pylist()),
        pairs=sums["windows"],
        pairs_passed=sums["windows_passed"],
        pairs_silent=sums["windows_silent"],
        wall_seconds=ledger.wall_seconds,
    )
