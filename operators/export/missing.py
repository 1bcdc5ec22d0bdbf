"""What of a track is not in the dataset though it was asked for: it failed, or a run was interrupted before it.

Contract: told from the committed records and the plans alone, for the versions of the sources that are exported.
Stretches that lie between two clips of a manifest were never asked for and are not missing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import inf, isinf
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from operators.media.shortfall import MISSING_SECONDS
from operators.records import SourceRecord
from operators.standing import WITH_STEMS, Ledger
from operators.whole_file import Place, place

TrackKey = tuple[str, int]
Span = tuple[float, float]


@dataclass(frozen=True)
class Missing:
    """What one track lacks. `seconds` is what is known of it: `is_open` where it goes on for nobody knows how long."""

    source_uri: str
    track: int
    seconds: float
    first_seconds: float
    is_open: bool

    def __str__(self) -> str:
        track = f", track {self.track}" if self.track else ""
        known = f"{self.seconds:.1f} s" if self.seconds else "an unknown length"
        more = " and more" if self.is_open and self.seconds else ""
        return f"{self.source_uri}{track}: {known}{more}, first at {self.first_seconds:g} s"


@dataclass(frozen=True)
class _Planned:
    """A member of a plan: a span of one track; `stop` is infinite where nobody knew its end."""

    source_uri: str
    source_version: str
    track: int
    start: float
    stop: float


def missing_of(out_uri: str, ledger: Ledger, versions: Mapping[str, str]) -> dict[TrackKey, Missing]:
    """What is missing of the sources in `versions` (source_uri -> the version that is exported), by track."""
    planned = _planned_members(out_uri, versions)
    committed: dict[TrackKey, list[Span]] = defaultdict(list)
    clips: dict[tuple[Any, ...], list[Span]] = defaultdict(list)
    wanted: dict[TrackKey, list[Span]] = defaultdict(list)
    for member_id, entry in ledger.members.items():
        for source in entry.sources:
            if source.track is None or versions.get(source.source_uri) != source.source_version:
                continue
            key = (source.source_uri, source.track)
            if source.status in WITH_STEMS:
                span = (source.start_seconds, source.start_seconds + source.seconds)
                committed[key].append(span)
                clips[*key, source.clip_start_seconds, source.clip_end_seconds].append(span)
            if source.status != "ok":
                wanted[key].append(_asked_for(source, planned.get(member_id)))
    for member_id, member in planned.items():
        if member_id not in ledger.members:
            wanted[member.source_uri, member.track].append((member.start, member.stop))
    for (uri, track, *_), spans in clips.items():
        wanted[uri, track].append((min(span[0] for span in spans), max(span[1] for span in spans)))
    found = {key: _without(spans, committed.get(key, [])) for key, spans in sorted(wanted.items())}
    return {key: _told(key, holes) for key, holes in found.items() if holes}


def _asked_for(source: SourceRecord, planned: _Planned | None) -> Span:
    """The span that a record which is not ok was about, as far as it is known; one that was cut off has what it has."""
    if planned is not None and not isinf(planned.stop):
        return source.start_seconds, max(source.start_seconds, planned.stop)
    if source.status in WITH_STEMS:
        return source.start_seconds, source.start_seconds + source.seconds
    return source.start_seconds, inf if source.clip_end_seconds is None else source.clip_end_seconds


def _without(wanted: Sequence[Span], committed: Sequence[Span]) -> list[Span]:
    """The stretches of `wanted` that are not committed, in order; one without an end stops where audio begins again."""
    there, holes = _merged(committed), list[Span]()
    ends = [high for _, high in there]
    for start, stop in sorted(wanted):
        for low, high in islice(there, bisect_right(ends, start), None):
            if low >= stop:
                break
            if low > start:
                holes.append((start, low))
                if isinf(stop):
                    start = stop
                    break
            start = max(start, high)
        if start < stop:
            holes.append((start, stop))
    return [hole for hole in _merged(holes) if hole[1] - hole[0] > MISSING_SECONDS]


def _merged(spans: Sequence[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(stop, merged[-1][1])
        else:
            merged.append((start, stop))
    return merged


def _told(key: TrackKey, holes: Sequence[Span]) -> Missing:
    seconds = sum(stop - start for start, stop in holes if not isinf(stop))
    return Missing(*key, seconds=seconds, first_seconds=holes[0][0], is_open=isinf(holes[-1][1]))


def _planned_members(out_uri: str, versions: Mapping[str, str]) -> dict[str, _Planned]:
    """The planned spans of single tracks of these versions, by member_id; later plans tell of the same members."""
    plans, planned = place(out_uri) / "plan", dict[str, _Planned]()
    uris = pa.array(list(versions), pa.string())
    for path in plans.find(".parquet"):
        for batch in _batches(plans, path):
            members = batch["members"].flatten()
            seconds = batch["seconds"].take(pc.list_parent_indices(batch["members"]))
            of_track = pc.and_(pc.is_in(members.field("source_uri"), uris), pc.is_valid(members.field("track")))
            rows = zip(members.filter(of_track).to_pylist(), seconds.filter(of_track).to_pylist(), strict=True)
            for row, length in rows:
                if versions[row["source_uri"]] == row["source_version"]:
                    planned[row["member_id"]] = _span_of(row, length)
    return planned


def _batches(plans: Place, path: str) -> Iterator[pa.RecordBatch]:
    try:
        with plans.fs.open(path, "rb") as handle:
            yield from pq.ParquetFile(handle).iter_batches(columns=["seconds", "members"])
    except pa.ArrowException as error:
        raise OSError(f"{path} is no plan that can be read ({error}); move it away, or look with `verify`") from error


def _span_of(row: Mapping[str, Any], seconds: float | None) -> _Planned:
    start, stop = row["start_seconds"] or 0.0, row["end_seconds"]
    if stop is None:  # the last span of a track is open; its unit tells how long the header says it is
        stop = inf if seconds is None else start + seconds
    return _Planned(row["source_uri"], row["source_version"], row["track"], start, stop)
