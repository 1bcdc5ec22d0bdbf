"""Checks a dataset against itself: files, footers, rows, derived tables, plan.

Contract: `verify` changes nothing and never stops at the first fault; every finding names the file and the next step.
Temporary files of writers are told of and are harmless.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from operators.derived_verification import check_derived
from operators.findings import RERUN, Finding, VerifyResult, some
from operators.plan_verification import check_plan
from operators.records import UnitRecord
from operators.standing import Ledger
from operators.unit_verification import check_unit
from operators.whole_file import Place, find_temporary, place

READERS: Final = 8


def _check_units(out_uri: str, result: VerifyResult, decode: bool) -> Ledger:
    stems = place(out_uri) / "stems"
    files = [(Place(stems.fs, path, stems.is_local), size) for path, size in stems.find(".parquet").items()]
    ledger = Ledger()
    ids: list[pa.Array] = []
    homes: list[str] = []
    with ThreadPoolExecutor(READERS, thread_name_prefix="verify") as readers:
        for check in readers.map(lambda pair: check_unit(pair[0], pair[1], decode), files):
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
        message = f"it tells nothing of its members {some(silent)}; {RERUN}"
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
    message = f"{len(often)} stem_ids occur more than once ({some(sorted(map(str, often)))}) in {some(where)}"
    result.findings.append(Finding("stem_id_twice", result.out_uri, message))


def verify_dataset(out_uri: str, *, decode: bool = False) -> VerifyResult:
    """Everything that is wrong with a dataset; with `decode` every stem's audio is decoded as well (30 ms a minute)."""
    result = VerifyResult(out_uri)
    ledger = _check_units(out_uri, result, decode)
    check_derived(out_uri, ledger, result)
    check_plan(out_uri, ledger, result)
    for path in find_temporary(out_uri):
        message = "a writer's temporary file: one at work, or killed; the next run sweeps it"
        result.findings.append(Finding("temporary_file", str(path), message, harmless=True))
    return result
