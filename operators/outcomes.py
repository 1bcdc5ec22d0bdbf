"""What became of a piece, as records of the unit's footer: its source, and its coverage per query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.catalog import RESIDUAL_ID, Catalog
from operators.failure import SourceFailure
from operators.records import CoverageRecord, SourceRecord
from operators.stem_engine import Coverage


def source_record(piece: Mapping[str, Any], *, stems: int, failure: SourceFailure | None = None) -> SourceRecord:
    """The record of a piece of which `stems` rows were written, or that ended in `failure`."""
    decoded = piece["span_samples"] if failure is None else 0
    return SourceRecord(
        member_id=piece["member_id"],
        source_uri=piece["source_uri"],
        source_version=piece["source_version"],
        track=piece["track"],
        start_seconds=piece["start_seconds"] or 0.0,
        clip_start_seconds=piece["clip_start_seconds"],
        clip_end_seconds=piece["clip_end_seconds"],
        seconds=(decoded or 0) / piece["sample_rate"] if piece["sample_rate"] else 0.0,
        sample_rate=piece["sample_rate"],
        channels=piece["channels"],
        status=failure.status if failure else piece["status"],
        error_class=failure.error_class if failure else piece["error_class"],
        message=failure.message if failure else piece["message"],
        stage=failure.stage if failure else piece["stage"],
        stems=stems,
    )


def told(source: SourceRecord) -> str:
    """The record's message, with the source's name unless it says it already."""
    message = source.message or source.status
    return message if source.source_uri in message else f"{source.source_uri}: {message}"


def passed_gate(looked: Coverage, thresholds: NDArray[np.float32], *, gate: bool) -> NDArray[np.bool_]:
    """Which (window, query) pairs were separated: bool[windows, Q]. Digital silence never is."""
    presence = _presence(looked, len(thresholds))
    passed: NDArray[np.bool_] = (presence >= thresholds[None]) | (not gate)
    passed &= ~np.asarray(looked.silent, dtype=bool)[:, None]
    return passed


def coverage_records(
    piece: Mapping[str, Any],
    catalog: Catalog,
    looked: Coverage,
    passed: NDArray[np.bool_],
    stems: NDArray[np.int64],
    *,
    span: tuple[int, int],
    sample_rate: int,
    unkept: str = "too_quiet",
) -> list[CoverageRecord]:
    """One record per query for the `span` [start, stop) in samples; `stems` rows were written per query, and, in the
    last place, of the residual. `unkept`: the outcome where windows passed the gate and no row came of them."""
    presence = _presence(looked, len(catalog.queries))
    starts = [round(start / sample_rate, 6) for start in looked.starts]
    residual = CoverageRecord(
        member_id=piece["member_id"],
        source_uri=piece["source_uri"],
        track=piece["track"],
        query_id=RESIDUAL_ID,
        start_seconds=span[0] / sample_rate,
        end_seconds=span[1] / sample_rate,
        windows=0,
        windows_passed=0,
        windows_silent=0,
        presence_max=0.0,
        window_starts=[],
        window_presence=[],
        outcome="present",
        stems=int(stems[-1]),
    )
    return [
        CoverageRecord(
            member_id=piece["member_id"],
            source_uri=piece["source_uri"],
            track=piece["track"],
            query_id=query.id,
            start_seconds=span[0] / sample_rate,
            end_seconds=span[1] / sample_rate,
            windows=len(starts),
            windows_passed=int(passed[:, row].sum()),
            windows_silent=sum(looked.silent),
            presence_max=float(presence[:, row].max(initial=0.0)),
            window_starts=starts,
            window_presence=[round(float(p), 4) for p in presence[:, row]],
            outcome="present" if stems[row] else unkept if passed[:, row].any() else "not_present",
            stems=int(stems[row]),
        )
        for row, query in enumerate(catalog.queries)
    ] + ([residual] if stems[-1] else [])


def _presence(looked: Coverage, queries: int) -> NDArray[np.float32]:
    return np.stack(looked.presence) if looked.presence else np.zeros((0, queries), np.float32)
