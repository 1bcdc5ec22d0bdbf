"""Checks the plans of a dataset: whatever a run set out to do is committed, or its source is gone."""

from __future__ import annotations

import math
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from operators.findings import RERUN, Finding, VerifyResult, some
from operators.schema import PLAN_SCHEMA
from operators.standing import Ledger
from operators.whereabouts import Whereabouts, read_listings
from operators.whole_file import place


def check_plan(out_uri: str, ledger: Ledger, result: VerifyResult) -> None:
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
            message = f"{len(names)} of {len(planned)} {said}: {some(names)}"
            result.findings.append(Finding(kind, plan.uri, message, harmless=over))


def _member_name(member: dict[str, Any]) -> str:
    end = member["end_seconds"]
    span = (
        ""
        if member["track"] is None
        else f" track {member['track']}, {member['start_seconds']:g} s to {end or math.inf:g} s"
    )
    return f"{member['source_uri']}{span}"
