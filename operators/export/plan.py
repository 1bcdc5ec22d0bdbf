"""What goes into which audio file of an export: one per source track and query, or one per event.

Contract: planned from the rows' columns alone, so that everything that can be wrong with an export is known before its
first file is written. Starts and stops are samples of the source's time line.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final, Literal

import numpy as np
import pyarrow.parquet as pq

from operators.export.selection import ExportError, Selected, StemRow, examples
from operators.whole_file import place

Shape = Literal["stems", "events"]
Container = Literal["wav", "flac"]

SHAPES: Final[tuple[Shape, ...]] = ("stems", "events")
CONTAINERS: Final[tuple[Container, ...]] = ("wav", "flac")
EVENTS_FILE: Final = "events.parquet"
REFERENCE_CHARACTERS: Final = 32
"""What BWF keeps of an originator reference; a stem_id has as many."""


FLAC_ANY_RATE: Final = 65_534  # Hz; a frame header counts in Hz up to here, then in tens of Hz
FLAC_HIGHEST_RATE: Final = 655_340


@dataclass(frozen=True)
class ExportFile:
    """One audio file to be: the samples [start, stop), silence where none of its rows lies."""

    rows: tuple[StemRow, ...]
    start: int
    stop: int
    span_seconds: tuple[float, float]
    """What its name tells: of an event the event itself, without what is kept around it."""
    presence: float | None
    rank: int | None = None
    missing_seconds: float = 0.0
    """Seconds of the track that are not there: they failed, or were never committed."""

    @property
    def head(self) -> StemRow:
        """The first row: what all rows of a file have in common is read from it."""
        return self.rows[0]

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of all its rows, each once, in their order: clips of one track may have others."""
        return tuple(dict.fromkeys(tag for row in self.rows for tag in row.tags))

    @property
    def seconds(self) -> float:
        return (self.stop - self.start) / self.head.sample_rate

    @property
    def peak_dbfs(self) -> float:
        """Highest sample peak of its rows, the gain they were encoded with undone."""
        return max(row.peak_dbfs for row in self.rows)

    @property
    def time_reference(self) -> int:
        """Samples since midnight, or since zero, of the source's own clock (BWF), at the rate of the file."""
        return self.start + round((self.head.source_clock_seconds or 0.0) * self.head.sample_rate)

    @property
    def reference(self) -> str:
        """32 characters that name this very audio."""
        told = repr([[row.stem_id for row in self.rows], self.start, self.stop])
        return hashlib.blake2b(told.encode(), digest_size=REFERENCE_CHARACTERS // 2).hexdigest()

    def clips(self, gain_db: float) -> bool:
        """True when 24 bits do not hold it."""
        return self.peak_dbfs + gain_db > 0.0


def plan_stems(selected: Selected, *, min_presence: float | None = None) -> list[ExportFile]:
    """One file per source track and query, as long as what was decoded of the track, all of one track in sync.

    A file is left out when the highest presence of its rows is below `min_presence`.
    """
    if selected.kind == "mine":
        raise ExportError("a library holds events, padded and faded, and no full-length stems: give --shape events")
    files = []
    for (uri, track, _), group in groupby(selected.rows, key=lambda row: (row.source_uri, row.track, row.query_id)):
        rows = tuple(group)
        _check_alike(rows)
        first, last = selected.spans[uri, track]
        start = min(round(first * rows[0].sample_rate), rows[0].start)
        stop = max(round(last * rows[0].sample_rate), *(row.stop for row in rows))
        presence = max((row.presence for row in rows if row.presence is not None), default=None)
        span = (start / rows[0].sample_rate, stop / rows[0].sample_rate)
        missing = selected.missing.get((uri, track))
        seconds = 0.0 if missing is None else missing.seconds
        files.append(ExportFile(rows, start, stop, span, presence, missing_seconds=seconds))
    return _present(files, min_presence)


def plan_events(
    out_uri: str,
    selected: Selected,
    *,
    min_presence: float | None = None,
    top: int | None = None,
    no_duplicates: bool = False,
) -> list[ExportFile]:
    """One file per event: of a library its rows as they are, of stems the events cut out of their rows.

    A library ranks its events itself; events of stems are ranked here, by presence. Of each query the `top` best are
    kept of those that the other filters leave.
    """
    if selected.kind == "mine":
        files = _ranked_by_library(out_uri, [_whole_row(row) for row in selected.rows], no_duplicates)
    elif no_duplicates:
        raise ExportError("--no-duplicates needs a library of events (`mine`): duplicates are not told in stems")
    else:
        files = _ranked_by_presence(
            [_cut(row, *event) for row in selected.rows for event in row.events if event[1] > event[0]]
        )
    if not files:
        raise ExportError(f"{out_uri}: no event is told in the {len(selected.rows)} rows; --shape stems exports them")
    files = _present(files, min_presence)
    if top is not None:
        files = _best(files, top)
    return files


def check_clipping(files: Iterable[tuple[str, ExportFile]], container: Container, gain_db: float) -> int:
    """How many (name, file) need 32-bit float because 24 bits would clip. Raises ExportError for FLAC."""
    loud = [(name, file) for name, file in files if file.clips(gain_db)]
    if loud and container == "flac":
        name, loudest = max(loud, key=lambda item: item[1].peak_dbfs)
        fitting = math.floor(-loudest.peak_dbfs * 10) / 10
        raise ExportError(
            f"{len(loud)} files would clip, and FLAC has no float: {name} peaks at {loudest.peak_dbfs + gain_db:+.2f} "
            f"dBFS ({examples(name for name, _ in loud)}). Give --gain-db {fitting:.1f}, which turns every file down "
            "alike, or --format wav"
        )
    return len(loud)


def check_rates(files: Iterable[tuple[str, ExportFile]], container: Container) -> None:
    """Raises ExportError for (name, file) of a rate that FLAC, as ffmpeg writes it, cannot tell in its header."""
    beyond = [(name, file.head.sample_rate) for name, file in files if not _flac_tells(file.head.sample_rate)]
    if container == "flac" and beyond:
        name, rate = beyond[0]
        raise ExportError(
            f"{len(beyond)} files have a rate that FLAC cannot hold: {name} has {rate} Hz, and above "
            f"{FLAC_ANY_RATE} Hz only multiples of 10 up to {FLAC_HIGHEST_RATE} Hz fit. Give --format wav, or leave "
            "them out with --source"
        )


def _flac_tells(rate: int) -> bool:
    return rate <= FLAC_ANY_RATE or (rate % 10 == 0 and rate <= FLAC_HIGHEST_RATE)


def _whole_row(row: StemRow) -> ExportFile:
    start, end, _ = row.events[0] if row.events else (row.start_seconds, row.end_seconds, 0.0)
    return ExportFile((row,), row.start, row.stop, (start, end), row.presence)


def _cut(row: StemRow, start_seconds: float, end_seconds: float, presence: float) -> ExportFile:
    start = max(row.start, round(start_seconds * row.sample_rate))
    stop = min(row.stop, round(end_seconds * row.sample_rate))
    return ExportFile((row,), start, stop, (start_seconds, end_seconds), presence)


def _check_alike(rows: Sequence[StemRow]) -> None:
    """Rows of one file have one sample rate and one layout, or there is no such file."""
    forms = sorted({(row.sample_rate, row.channels, row.channel_layout or "") for row in rows})
    if len(forms) > 1:
        told = "; ".join(f"{rate} Hz, {channels} channels {layout}".strip() for rate, channels, layout in forms)
        raise ExportError(
            f"{rows[0].source_uri}, track {rows[0].track}, {rows[0].query_id}: its rows differ in form ({told}) and "
            "do not fit into one file: give --shape events, or leave the source out with --source"
        )


def _present(files: list[ExportFile], min_presence: float | None) -> list[ExportFile]:
    """Those that reach `min_presence`; a residual has no presence and passes."""
    if min_presence is None:
        return files
    least = float(np.float32(min_presence))  # as exact as the column
    kept = [file for file in files if file.presence is None or file.presence >= least]
    if not kept:
        highest = max(file.presence for file in files if file.presence is not None)
        raise ExportError(
            f"--min-presence {min_presence:g} leaves none of {len(files)} files; the highest: {highest:.3f}"
        )
    return kept


def _best(files: list[ExportFile], top: int) -> list[ExportFile]:
    ranks: dict[str, list[int]] = defaultdict(list)
    for file in files:
        ranks[file.head.query_id].append(file.rank or 0)
    last = {query_id: sorted(told)[:top][-1] for query_id, told in ranks.items()}
    return [file for file in files if (file.rank or 0) <= last[file.head.query_id]]


def _ranked_by_presence(files: list[ExportFile]) -> list[ExportFile]:
    order = sorted(range(len(files)), key=lambda index: (-(files[index].presence or 0.0), index))
    counts: dict[str, int] = defaultdict(int)
    ranked = list(files)
    for index in order:
        counts[files[index].head.query_id] += 1
        ranked[index] = replace(files[index], rank=counts[files[index].head.query_id])
    return ranked


def _ranked_by_library(out_uri: str, files: list[ExportFile], no_duplicates: bool) -> list[ExportFile]:
    """The files with their ranks in `LIB/events.parquet`, those that repeat a better one left out if wished."""
    table = place(out_uri) / EVENTS_FILE
    if not table.exists():
        raise ExportError(f"{table.uri} is missing, which ranks the events: give the same `mine` again")
    with table.fs.open(table.path, "rb") as raw:
        columns = pq.ParquetFile(raw).read(columns=["stem_id", "rank", "duplicate_of"])
    told = {row["stem_id"]: (row["rank"], row["duplicate_of"]) for row in columns.to_pylist()}
    unknown = [file.head.stem_id for file in files if file.head.stem_id not in told]
    if unknown:
        raise ExportError(
            f"{len(unknown)} of {len(files)} events are not ranked in {table.uri} ({examples(unknown)}): it is older "
            "than the library; give the same `mine` again"
        )
    ranked = [(replace(file, rank=told[file.head.stem_id][0]), told[file.head.stem_id][1]) for file in files]
    return [file for file, duplicate_of in ranked if not (no_duplicates and duplicate_of)]
