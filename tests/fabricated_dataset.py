"""Datasets made in code through the real writer: no network, no media, sounds whose shape is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from operators.dataset import create_or_check_signature
from operators.measure import measure
from operators.media.flac import encode_flac
from operators.records import CoverageRecord, SourceRecord, UnitRecord
from operators.schema import PLAN_SCHEMA, SCHEMA_VERSION
from operators.unit_file import CommittedFile, UnitFileWriter
from operators.whole_file import place

SAMPLE_RATE = 8000
WINDOW_SECONDS = 8.0
STRETCH_SECONDS = 60.0


@dataclass
class Member:
    """One member of a unit and what shall have become of it."""

    uri: str
    seconds: float = 20.0
    start: float = 0.0
    track: int | None = 0
    status: str = "ok"
    error_class: str | None = None
    message: str | None = None
    channels: int = 1
    present: tuple[str, ...] = ("dog",)
    version: str = "v1"
    member_id: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    sample_rate: int = SAMPLE_RATE
    columns: dict[str, Any] = field(default_factory=dict)
    """Put into each of its rows, as they are."""
    stems: dict[str, list[tuple[float, np.ndarray]]] | None = None
    """query -> (start in seconds, samples [C, T]) of its rows; None: tones of what is `present`."""

    def __post_init__(self) -> None:
        self.member_id = self.member_id or f"m:{self.uri}:{self.version}:{self.track}:{self.start:g}"
        if self.stems is not None:
            self.present = tuple(self.stems)


def tone(seconds: float, hertz: float, channels: int = 1, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """A tone that swells and fades once a second: `float32[C, T]`."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    wave = 0.3 * np.sin(2 * np.pi * hertz * time) * np.sin(np.pi * time) ** 2
    return np.repeat(wave[None], channels, axis=0).astype(np.float32)


def stem_rows(unit_id: str, member: Member, query: str, run_id: str = "run-1") -> list[dict[str, Any]]:
    """The rows of one query in one member: a stretch a minute."""
    rows = []
    for begin, stem in _stems(member, query):
        seconds = stem.shape[1] / member.sample_rate
        measures = measure(stem, stem + tone(seconds, 1500, len(stem), member.sample_rate), member.sample_rate)
        encoded = encode_flac(stem, member.sample_rate)
        stem_id = f"{member.uri}|{member.version}|{member.track}|{query}|{begin:g}"
        rows.append(
            {
                "stem_id": stem_id,
                "run_id": run_id,
                "unit_id": unit_id,
                "member_id": member.member_id,
                "source_uri": member.uri,
                "source_version": member.version,
                "track": member.track,
                "query_id": query,
                "query_text": f"the sound of {query}",
                "ucs_cat_id": None,
                "tags": [],
                "start_seconds": begin,
                "end_seconds": begin + seconds,
                "sample_rate": member.sample_rate,
                "channels": len(stem),
                "channel_layout": None,
                "source_clock_seconds": None,
                "continued": False,
                "presence": 0.9,
                "clap_similarity": 0.5,
                "loudness_lufs": measures.loudness_lufs,
                "peak_dbfs": measures.peak_dbfs,
                "gain_db": encoded.gain_db,
                "energy_ratio_db": measures.energy_ratio_db,
                "residual_ratio_db": measures.residual_ratio_db,
                "events": [{"start_seconds": begin + 1, "end_seconds": begin + 3, "presence": 0.9}],
                "embedding": np.full(8, 8**-0.5, np.float16),
                "model_signature": "mini-0123",
                "catalog_hash": "c0ffee",
                "schema_version": SCHEMA_VERSION,
                "audio": {"bytes": encoded.data, "path": "stem.flac"},
            }
            | member.columns
        )
    return rows


def _stems(member: Member, query: str) -> list[tuple[float, np.ndarray]]:
    """(start in seconds, samples [C, T]) of each row."""
    if member.stems is not None:
        return member.stems[query]
    starts = [float(start) for start in np.arange(0, member.seconds, STRETCH_SECONDS)]
    lengths = [min(STRETCH_SECONDS, member.seconds - start) for start in starts]
    hertz = 300 + 40 * len(query)
    return [
        (member.start + start, tone(seconds, hertz, member.channels, member.sample_rate))
        for start, seconds in zip(starts, lengths, strict=True)
    ]


def coverage_of(member: Member, query: str, stems: int) -> CoverageRecord:
    starts = np.arange(0, member.seconds, WINDOW_SECONDS)
    presence = [0.05 + 0.85 * (query in member.present) * float(np.sin(0.7 * k + 1) ** 2) for k in range(len(starts))]
    return CoverageRecord(
        member_id=member.member_id,
        source_uri=member.uri,
        track=member.track or 0,
        query_id=query,
        start_seconds=member.start,
        end_seconds=member.start + member.seconds,
        windows=len(starts),
        windows_passed=sum(value > 0.5 for value in presence),
        windows_silent=0,
        presence_max=max(presence, default=0.0),
        window_starts=[member.start + float(start) for start in starts],
        window_presence=presence,
        outcome="present" if stems else "not_present",
        stems=stems,
    )


def commit_unit(
    out_uri: str,
    unit_id: str,
    members: list[Member],
    *,
    queries: tuple[str, ...] = ("dog", "rain"),
    attempt: int = 1,
    run_id: str = "run-1",
    wall_seconds: float = 2.0,
    **writer: Any,
) -> CommittedFile:
    """Commits a unit as the separate stage would."""
    sources, coverage = [], []
    with UnitFileWriter(out_uri, unit_id, **writer) as file:
        for member in members:
            stems = 0
            for query in queries if member.status in ("ok", "partial") else ():
                rows = stem_rows(unit_id, member, query, run_id) if query in member.present else []
                for row in rows:
                    file.write(row)
                stems += len(rows)
                coverage.append(coverage_of(member, query, len(rows)))
            heard = member.status in ("ok", "partial")
            sources.append(
                SourceRecord(
                    member_id=member.member_id,
                    source_uri=member.uri,
                    source_version=member.version,
                    track=member.track if heard else member.fields.get("track"),
                    start_seconds=member.start,
                    seconds=member.seconds if heard else 0.0,
                    sample_rate=member.sample_rate if heard else None,
                    channels=member.channels if heard else None,
                    status=member.status,
                    error_class=member.error_class,
                    message=member.message,
                    stage=None if member.status == "ok" else "decode",
                    stems=stems,
                )
            )
        record = UnitRecord(
            unit_id=unit_id,
            run_id=run_id,
            attempt=attempt,
            member_ids=[member.member_id for member in members],
            sources=sources,
            coverage=coverage,
            wall_seconds=wall_seconds,
        )
        return file.commit(record)


@dataclass
class Event:
    """One mined event, as it shall stand in its row."""

    uri: str
    start: float
    query: str = "dog"
    seconds: float = 2.0
    presence: float = 0.9
    similarity: float | None = 0.5
    residual_ratio_db: float | None = -3.0
    embedding: Sequence[float] | None = (1.0, 0.0)
    query_text: str | None = None
    continued: bool = False

    @property
    def stem_id(self) -> str:
        return f"{self.uri}|v1|0|{self.query}|{self.start:g}"


def event_row(unit_id: str, member_id: str, event: Event) -> dict[str, Any]:
    """The row of an event: its audio with a quarter of a second on both sides."""
    member = Member(event.uri, seconds=event.seconds + 0.5, start=event.start - 0.25, member_id=member_id)
    (row,) = stem_rows(unit_id, member, event.query)
    span = {"start_seconds": event.start, "end_seconds": event.start + event.seconds, "presence": event.presence}
    return row | {
        "stem_id": event.stem_id,
        "query_text": event.query_text or row["query_text"],
        "continued": event.continued,
        "presence": event.presence,
        "clap_similarity": event.similarity,
        "residual_ratio_db": event.residual_ratio_db,
        "events": [span],
        "embedding": None if event.embedding is None else np.asarray(event.embedding, np.float16),
    }


def commit_events(out_uri: str, unit_id: str, events: Sequence[Event], *, attempt: int = 1) -> CommittedFile:
    """Commits a unit of a library: one member per source, one row per event."""
    members = {event.uri: Member(event.uri) for event in events}
    stems = Counter(event.uri for event in events)
    with UnitFileWriter(out_uri, unit_id) as file:
        for event in events:
            file.write(event_row(unit_id, members[event.uri].member_id, event))
        sources = [
            SourceRecord(
                member_id=member.member_id, source_uri=uri, source_version=member.version, track=0, seconds=20.0,
                sample_rate=SAMPLE_RATE, channels=1, status="ok", stems=stems[uri],
            )
            for uri, member in members.items()
        ]  # fmt: skip
        counts = Counter((event.uri, event.query) for event in events)
        coverage = [coverage_of(members[uri], query, count) for (uri, query), count in counts.items()]
        ids = [member.member_id for member in members.values()]
        record = UnitRecord(
            unit_id=unit_id, run_id="run-1", attempt=attempt, member_ids=ids, sources=sources, coverage=coverage
        )
        return file.commit(record)


def sign(out_uri: str, *, kind: str = "mine", model: str = "mini-0123") -> None:
    """OUT/dataset.json of a dataset of that kind, made by that model."""
    create_or_check_signature(out_uri, {"kind": kind, "schema_version": SCHEMA_VERSION, "model": model})


def write_plan(out_uri: str, units: dict[str, list[Member]], name: str = "run-1") -> None:
    """OUT/plan/<name>.parquet for these units."""
    rows = [
        {
            "unit_id": unit_id,
            "seconds": sum(member.seconds for member in members),
            "attempt": 1,
            "members": [
                {
                    "member_id": member.member_id,
                    "source_uri": member.uri,
                    "source_version": member.version,
                    "track": member.track,
                    "start_seconds": member.start,
                    "end_seconds": member.start + member.seconds,
                }
                for member in members
            ],
        }
        for unit_id, members in units.items()
    ]
    folder = place(out_uri) / "plan"
    folder.fs.makedirs(folder.path, exist_ok=True)
    with folder.fs.open(f"{folder.path}/{name}.parquet", "wb") as file:
        pq.write_table(pa.Table.from_pylist(rows, schema=PLAN_SCHEMA), file)
