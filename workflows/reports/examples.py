"""The best stems of each query, as things to look at and listen to: two spectrograms, two players.

Contract: chosen from the committed files alone; the mixture is decoded again where the source still lies. Both are
played with one common gain. `examples` stops before `budget_bytes` of page are spent, the best of every query first.
"""

from __future__ import annotations

import base64
import heapq
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import soxr

from operators.excerpt import ReadMixture
from operators.failure import SourceFailure
from operators.media.flac import decode_flac
from operators.spectrogram import levels, spectrogram_png
from operators.standing import Ledger
from operators.unit_file import unit_path
from operators.whole_file import place

EXAMPLES_PER_QUERY: Final = 3
CLIP_SECONDS: Final = 10.0
CANDIDATES: Final = 30
MAX_UNITS_READ: Final = 2000
FAINT_DB: Final = 30.0
PLAYED_PEAK: Final = 0.9
MAX_GAIN: Final = 30.0
LEAD_SECONDS: Final = 1.0
MP3_RATES: Final = frozenset({8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000})
"""What the players can be written at; stems of another rate are played at the highest."""
MARKUP_BYTES: Final = 4096
"""Of the page, for the words around an example."""
_COLUMNS: Final = [
    "stem_id", "source_uri", "source_version", "track", "query_id", "query_text", "start_seconds", "end_seconds",
    "sample_rate", "presence", "gain_db", "loudness_lufs", "energy_ratio_db", "events", "model_signature",
]  # fmt: skip

Mono = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sound:
    """One picture and one player, as data URIs."""

    picture: str
    player: str


@dataclass(frozen=True)
class Example:
    """A stem beside its mixture; `mixture` is None when the source could not be read, `mixture_message` says why."""

    row: dict[str, Any]
    start_seconds: float
    end_seconds: float
    stem: Sound
    mixture: Sound | None
    mixture_message: str
    named_track: int | None
    """The track, None when the source has no other one."""

    @property
    def size_bytes(self) -> int:
        sounds = [sound for sound in (self.stem, self.mixture) if sound]
        return MARKUP_BYTES + sum(len(sound.picture) + len(sound.player) for sound in sounds)


@dataclass
class StemIndex:
    """What the searchable columns of the stem rows hold."""

    candidates: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)
    event_seconds: Counter[str] = field(default_factory=Counter)
    texts: dict[str, str] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)
    units_read: int = 0
    units_with_stems: int = 0


def score(row: dict[str, Any]) -> float:
    """How good an example a stem is: its presence, less up to a half when it is faint in its mixture."""
    faint = min(FAINT_DB, max(0.0, -(row["energy_ratio_db"] if row["energy_ratio_db"] is not None else 0.0)))
    return float(row["presence"] or 0.0) - 0.5 * faint / FAINT_DB


def index_stems(out_uri: str, ledger: Ledger) -> StemIndex:
    """Reads all but the audio of the units that have stems, `MAX_UNITS_READ` of them at most."""
    units: Counter[str] = Counter()
    for entry in ledger.members.values():
        units[entry.unit_id] += sum(source.stems for source in entry.sources)
    with_stems = [unit_id for unit_id, stems in units.most_common() if stems]
    index = StemIndex(units_with_stems=len(with_stems), units_read=min(len(with_stems), MAX_UNITS_READ))
    heaps: dict[str, list[tuple[float, str, str, dict[str, Any]]]] = {}
    for unit_id in with_stems[:MAX_UNITS_READ]:
        for row in _rows(out_uri, unit_id):
            query = row["query_id"]
            index.texts[query] = row["query_text"] or query
            index.models.add(row["model_signature"] or "")
            index.events[query] += len(row["events"] or [])
            index.event_seconds[query] += sum(
                event["end_seconds"] - event["start_seconds"] for event in row["events"] or []
            )
            heap = heaps.setdefault(query, [])
            heapq.heappush(heap, (score(row), row["stem_id"], unit_id, row | {"unit_id": unit_id}))
            if len(heap) > CANDIDATES:
                heapq.heappop(heap)
    index.candidates = {query: [row for *_, row in sorted(heap, reverse=True)] for query, heap in heaps.items()}
    return index


def _rows(out_uri: str, unit_id: str) -> list[dict[str, Any]]:
    file = place(unit_path(out_uri, unit_id))
    try:
        with file.fs.open(file.path, "rb") as handle:
            rows: list[dict[str, Any]] = pq.ParquetFile(handle).read(columns=_COLUMNS).to_pylist()
            return rows
    except (pa.ArrowException, OSError, KeyError):
        return []  # `verify` tells what is wrong with it


def best(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The best `EXAMPLES_PER_QUERY`, from different tracks while there are some."""
    seen: set[tuple[str, int]] = set()
    fresh: list[dict[str, Any]] = []
    rest: list[dict[str, Any]] = []
    for row in rows:
        track = (row["source_uri"], row["track"])
        (rest if track in seen else fresh).append(row)
        seen.add(track)
    return sorted((fresh + rest)[:EXAMPLES_PER_QUERY], key=score, reverse=True)


def examples(
    out_uri: str, index: StemIndex, read_mixture: ReadMixture, several_tracks: set[str], budget_bytes: int
) -> dict[str, list[Example]]:
    """Query -> its examples, best first.

    First the best of every query, then every second, and so on until the budget is spent. Tracks are named for sources
    in `several_tracks`.
    """
    chosen = {query: best(rows) for query, rows in index.candidates.items()}
    made: dict[str, list[Example]] = {query: [] for query in chosen}
    for rank in range(EXAMPLES_PER_QUERY):
        ranked = [query for query in chosen if rank < len(chosen[query])]
        # In the order of the sources: what must be decoded from its start is then decoded once per rank.
        for query in sorted(ranked, key=lambda query: (*_place(chosen[query][rank]), query)):
            example = _example(out_uri, chosen[query][rank], read_mixture, several_tracks)
            if example is None:
                continue
            if example.size_bytes > budget_bytes:
                return made
            made[query].append(example)
            budget_bytes -= example.size_bytes
    return made


def _place(row: dict[str, Any]) -> tuple[str, int, float]:
    """Source, track and second near which the clip of a stem lies."""
    surest = max(row["events"] or [row], key=lambda event: event["presence"] or 0.0)
    return row["source_uri"], row["track"], surest["start_seconds"]


def _example(out_uri: str, row: dict[str, Any], read_mixture: ReadMixture, several_tracks: set[str]) -> Example | None:
    audio = _audio(out_uri, row)
    if audio is None:
        return None
    stem = audio.mean(axis=0)
    first = _clip_start(row, stem)
    count = min(round(CLIP_SECONDS * row["sample_rate"]), len(stem) - first)
    stem = stem[first : first + count]
    start = row["start_seconds"] + first / row["sample_rate"]
    end = start + count / row["sample_rate"]
    mixture, message = None, ""
    try:
        heard = read_mixture(row["source_uri"], row["source_version"], row["track"], start, end, row["sample_rate"])
        mixture = np.zeros_like(stem)
        length = min(len(stem), heard.shape[1])
        mixture[:length] = heard.mean(axis=0)[:length]
    except SourceFailure as failure:
        message = failure.message
    loudest = mixture if mixture is not None else stem
    peak = max(float(np.abs(loudest).max(initial=0)), float(np.abs(stem).max(initial=0)))
    gain = min(MAX_GAIN, PLAYED_PEAK / peak) if peak else 1.0
    reference = float(levels(loudest, row["sample_rate"]).max())
    return Example(
        row=row,
        start_seconds=start,
        end_seconds=end,
        stem=_sound(stem, row["sample_rate"], gain, reference),
        mixture=None if mixture is None else _sound(mixture, row["sample_rate"], gain, reference),
        mixture_message=message,
        named_track=row["track"] if row["source_uri"] in several_tracks else None,
    )


def _audio(out_uri: str, row: dict[str, Any]) -> npt.NDArray[np.float32] | None:
    file = place(unit_path(out_uri, row["unit_id"]))
    try:
        with file.fs.open(file.path, "rb") as handle:
            for data in _find_audio(pq.ParquetFile(handle), row["stem_id"]):
                samples, _ = decode_flac(data, row["gain_db"] or 0.0)
                return samples if samples.shape[1] else None
    except (pa.ArrowException, OSError, ValueError):
        pass  # `verify --decode` tells what is wrong with it
    return None


def _find_audio(parquet: pq.ParquetFile, stem_id: str) -> Iterator[bytes]:
    """The audio of one stem, reading only the row group it lies in."""
    for group in range(parquet.num_row_groups):
        if stem_id in parquet.read_row_group(group, columns=["stem_id"])["stem_id"].to_pylist():
            for batch in parquet.iter_batches(batch_size=1, row_groups=[group], columns=["stem_id", "audio"]):
                (row,) = batch.to_pylist()
                if row["stem_id"] == stem_id:
                    yield row["audio"]["bytes"]


def _clip_start(row: dict[str, Any], stem: Mono) -> int:
    """First sample of the clip: a little before the surest event, else where the stem is loudest."""
    sample_rate = row["sample_rate"]
    length = round(CLIP_SECONDS * sample_rate)
    if len(stem) <= length:
        return 0
    if row["events"]:
        surest = max(row["events"], key=lambda event: event["presence"] or 0.0)
        first = round((surest["start_seconds"] - LEAD_SECONDS - row["start_seconds"]) * sample_rate)
    else:
        energy = np.concatenate([[0.0], np.cumsum(np.square(stem, dtype=np.float64))])
        first = int(np.argmax(energy[length:] - energy[:-length]))
    return int(min(max(0, first), len(stem) - length))


def _sound(samples: Mono, sample_rate: int, gain: float, reference: float) -> Sound:
    picture = spectrogram_png(levels(samples, sample_rate), reference)
    if sample_rate not in MP3_RATES:
        samples, sample_rate = soxr.resample(samples, sample_rate, max(MP3_RATES)), max(MP3_RATES)
    buffer = io.BytesIO()
    # MP3 at about 60 kbit/s: 71 kB for ten seconds of a dense mixture, FLAC takes 352 kB; every browser plays it.
    soundfile.write(
        buffer, samples * np.float32(gain), sample_rate, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5
    )
    return Sound(_data_uri("image/png", picture), _data_uri("audio/mpeg", buffer.getvalue()))


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
