"""Decoding: a plan row becomes the same row with `pieces`, the PCM of every track of every member.

`Decode` never raises for a bad source: what cannot be decoded is a piece with a status, an error class and a message.
Units laid end to end are, sample for sample, the decode of the whole file.
"""

from __future__ import annotations

import math
import sys
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from operators.actor_metrics import stage_steps, unit_time
from operators.attempts import MAX_LOST_WORKERS, AttemptLedger, Attempts, worker_lost
from operators.buckets import UNIT_PCM_BYTES
from operators.failure import LONG_SOURCE, SourceFailure
from operators.media import errors as media_errors
from operators.media.access import for_decoding
from operators.media.archive_slice import archive_slice
from operators.media.ffmpeg_process import MediaTimeoutError
from operators.media.probe import Track, probe
from operators.media.scratch_cache import DEFAULT_LIMIT_BYTES, ScratchCache, default_scratch
from operators.media.shortfall import shortfall
from operators.media.timeline import can_seek
from operators.media.track_reader import SAMPLE_BYTES, SEEK_FROM_SECONDS, TrackReader, open_track
from operators.member import next_border
from operators.pieces import Piece, failed_piece, pieces_column
from operators.schema import PLAN_SCHEMA, UNIT_SCHEMA

SLOWEST_SKIP: Final = 50.0  # x real time; measured 700, on a busy machine 100
KNOWN_SOURCES: Final = 64
LONGEST_UNCUT_BYTES: Final = 4 * UNIT_PCM_BYTES  # decoded, of one small source: two hours of mono

Member = Mapping[str, Any]


class Decode:
    """Decodes units: `dataset.map_batches(Decode, batch_size=1, batch_format="pyarrow", num_cpus=1)`.

    It keeps its last decode open: the next unit of the same track goes on where the last one ended, so that a format
    that must be decoded from its start is decoded once per worker, not once per unit. `timeout_seconds` is per piece.
    `attempts` counts workers that were lost over a member, which is given up after `MAX_LOST_WORKERS`.
    `sample_rate` None: every track at its own.
    """

    def __init__(
        self,
        *,
        sample_rate: int | None = 32_000,
        context_seconds: float = 10.0,
        unit_seconds: float = 600.0,
        timeout_seconds: float = 600.0,
        scratch: str | None = None,
        scratch_limit_bytes: int = DEFAULT_LIMIT_BYTES,
        attempts: Attempts | None = None,
    ) -> None:
        self.sample_rate = sample_rate
        self.context_seconds = context_seconds
        self.unit_seconds = unit_seconds
        self.timeout_seconds = timeout_seconds
        self.attempts: Attempts = attempts or AttemptLedger()
        self._cache = ScratchCache(Path(scratch) if scratch else default_scratch(), scratch_limit_bytes)
        self._tracks: OrderedDict[tuple[str, str], tuple[Track, ...]] = OrderedDict()
        self._reader: TrackReader | None = None
        self._reader_key: tuple[str, str, int] | None = None

    def __call__(self, batch: pa.Table) -> pa.Table:
        """The rows of `batch` (`PLAN_SCHEMA`) with their pieces (`UNIT_SCHEMA`)."""
        rows = batch.select(PLAN_SCHEMA.names).to_pylist()
        units = [self._unit(row) for row in rows]
        table = pa.Table.from_pylist(rows, schema=PLAN_SCHEMA)
        return table.append_column(UNIT_SCHEMA.field("pieces"), pieces_column(units))

    def _unit(self, row: Mapping[str, Any]) -> list[Piece]:
        """The pieces of all members."""
        with unit_time("decode"):
            return [piece for member in row["members"] for piece in stage_steps("decode", self._pieces(member))]

    def _pieces(self, member: Member) -> Iterator[Piece]:
        """The pieces of one member, at least one."""
        if member["status"] is not None:
            yield failed_piece(member, _planned_failure(member), None)
            return
        uri, version = member["source_uri"], member["source_version"]
        key = f"decode/{member['member_id']}"
        lost = self.attempts.begin(key)
        try:
            if lost >= MAX_LOST_WORKERS:
                raise worker_lost(uri, "decode", lost)
            again = _is_clip(member)  # of one source there may be many
            with for_decoding(uri, version, self._cache, self.timeout_seconds, again=again) as address:
                for track in self._wanted(address, member):
                    yield from self._track_pieces(address, member, track)
        except Exception as error:
            failure = self._failure_of(error, uri)
            yield failed_piece(member, failure, None if failure.error_class == LONG_SOURCE else member["track"])
        finally:
            self.attempts.end(key)

    def _wanted(self, address: str, member: Member) -> tuple[Track, ...]:
        """The tracks of the source that the member asks for."""
        key = (member["source_uri"], member["source_version"])
        if key not in self._tracks:
            part = archive_slice(*key)
            size_bytes = part.extent.size_bytes if part else member["size_bytes"]
            self._tracks[key] = probe(address, member["source_uri"], size_bytes=size_bytes)
            while len(self._tracks) > KNOWN_SOURCES:
                self._tracks.popitem(last=False)
        tracks = self._tracks[key]
        if member["track"] is not None:
            if member["track"] >= len(tracks):
                raise media_errors.no_such_track(member["source_uri"], member["track"], len(tracks), "decode")
            tracks = (tracks[member["track"]],)
        self._check_length(member, tracks)
        return tracks

    def _check_length(self, member: Member, tracks: tuple[Track, ...]) -> None:
        """Refuses hours in a small file (silence as FLAC, say), which only the planner can cut."""
        uri, start, end = member["source_uri"], member["start_seconds"], member["end_seconds"]
        ends = [min(track.end_seconds or 0.0, math.inf if end is None else end) for track in tracks]
        lengths = [max(0.0, track_end - start) for track_end in ends]
        samples = sum(s * track.channels * self._rate(track) for s, track in zip(lengths, tracks, strict=True))
        if samples * SAMPLE_BYTES > LONGEST_UNCUT_BYTES:
            hours = max(lengths) / 3600
            raise SourceFailure(
                status="failed",
                error_class=LONG_SOURCE,
                message=f"{uri}: {hours:.1f} h of audio in a small file are too much for one unit; run the same "
                "command again, it cuts the source into several",
                stage="decode",
            )

    def _track_pieces(self, address: str, member: Member, track: Track) -> Iterator[Piece]:
        """The stretches of one track, its failure as a piece of its own."""
        try:
            yield from self._stretches(address, member, track)
        except Exception as error:
            self._drop_reader()
            yield failed_piece(member, self._failure_of(error, member["source_uri"]), track.index)

    def _failure_of(self, error: Exception, uri: str) -> SourceFailure:
        if isinstance(error, SourceFailure):
            return error
        if isinstance(error, MediaTimeoutError):
            return media_errors.timed_out(uri, "decode", self.timeout_seconds)
        return media_errors.from_error(error, uri, "decode")

    def _stretches(self, address: str, member: Member, track: Track) -> Iterator[Piece]:
        """The member's span in consecutive pieces that end at multiples of the unit length, or where the track ends."""
        if track.channels < 1 or track.sample_rate < 1:
            raise media_errors.from_ffmpeg(
                "the track has no channels or no sample rate", member["source_uri"], "decode"
            )
        start_seconds, end_seconds = member["start_seconds"], member["end_seconds"]
        while True:
            unit_end = next_border(start_seconds, self.unit_seconds)
            stop_seconds = unit_end if end_seconds is None else min(unit_end, end_seconds)
            piece, ended = self._stretch(address, member, track, start_seconds, stop_seconds)
            if piece.span_samples or start_seconds == member["start_seconds"]:
                yield piece
            if ended or stop_seconds == end_seconds:
                return
            start_seconds = stop_seconds

    def _stretch(
        self, address: str, member: Member, track: Track, start_seconds: float, stop_seconds: float
    ) -> tuple[Piece, bool]:
        """One piece, and whether the track ends in it."""
        rate = self._rate(track)
        start, stop = round(start_seconds * rate), round(stop_seconds * rate)
        context = round(self.context_seconds * rate)
        before = min(context, start)
        reader = self._reader_for(address, member, track, start - before)
        ahead_seconds = max(0, start - reader.position) / rate
        deadline = time.monotonic() + self.timeout_seconds + ahead_seconds / SLOWEST_SKIP
        pcm = reader.read(start - before, stop + context, deadline)
        read_samples = len(pcm) // (track.channels * SAMPLE_BYTES)
        span_samples = max(0, min(read_samples - before, stop - start))
        problem = shortfall(reader, member["source_uri"], track, stop_seconds, rate)
        if problem is None and not span_samples and _is_clip(member) and reader.end_sample is not None:
            problem = _clip_outside(member, track, reader.end_sample / rate)
        piece = Piece(
            member_id=member["member_id"],
            source_uri=member["source_uri"],
            source_version=member["source_version"],
            track=track.index,
            status=problem.status if problem else "ok",
            error_class=problem.error_class if problem else None,
            message=problem.message if problem else None,
            stage=problem.stage if problem else None,
            sample_rate=rate,
            channels=track.channels,
            channel_layout=track.channel_layout,
            source_clock_seconds=track.clock_seconds,
            clip_start_seconds=member["clip_start_seconds"],
            clip_end_seconds=member["clip_end_seconds"],
            tags=tuple(member["tags"] or ()),
            start_seconds=start_seconds,
            span_samples=span_samples,
            context_before_samples=before if span_samples else 0,
            pcm=pcm if span_samples else bytearray(),
        )
        return piece, reader.end_sample is not None and reader.end_sample <= stop

    def _reader_for(self, address: str, member: Member, track: Track, want: int) -> TrackReader:
        """The open decode when it is near in front of `want`, else a new one."""
        key = (member["source_uri"], member["source_version"], track.index)
        if self._reader is None or self._reader_key != key or not self._reader.can_serve(want, self._farthest(track)):
            self._drop_reader()
            self._reader = open_track(
                address,
                track,
                want,
                sample_rate=self._rate(track),
                keep_samples=2 * round(self.context_seconds * self._rate(track)),
                timeout_seconds=self.timeout_seconds,
            )
            self._reader_key = key
        return self._reader

    def _farthest(self, track: Track) -> int:
        """How far ahead, in samples, reading on is better than starting anew."""
        return round(SEEK_FROM_SECONDS * self._rate(track)) if can_seek(track) else sys.maxsize

    def _rate(self, track: Track) -> int:
        """The rate that the track is decoded at."""
        return self.sample_rate or track.sample_rate

    def _drop_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = self._reader_key = None


def _planned_failure(member: Member) -> SourceFailure:
    """The failure that the planner already knew."""
    return SourceFailure(
        status=member["status"], error_class=member["error_class"], message=member["message"], stage=member["stage"]
    )


def _is_clip(member: Member) -> bool:
    return member["clip_start_seconds"] is not None or member["clip_end_seconds"] is not None


def _clip_outside(member: Member, track: Track, end_seconds: float) -> SourceFailure | None:
    """The failure of a clip that begins where its track has ended; its last span alone may well be empty."""
    start_seconds = member["clip_start_seconds"] or 0.0
    if start_seconds < end_seconds:
        return None
    return SourceFailure(
        status="failed",
        error_class="clip_outside",
        message=f"{member['source_uri']}: the clip begins at {start_seconds:g} s, audio track {track.index} ends at "
        f"{end_seconds:g} s; correct the manifest and run again with --retry-failed",
        stage="decode",
    )
