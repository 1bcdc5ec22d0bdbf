"""A decoded piece of a track, and how a unit's pieces become one Arrow column without copying samples needlessly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from operators.failure import SourceFailure, Stage, Status
from operators.media.flac import MAX_CHANNELS
from operators.schema import PIECE, UNIT_SCHEMA

RATES: Final = (4000, 192_000)
"""Of stems at the rate of their source: from the poorest telephone to the highest of studio interfaces."""
LOUDEST: Final = 1e10
"""+200 dBFS. Integers of 32 bit stored as floats stay below it; beyond it squares and sums overflow."""


@dataclass(frozen=True)
class Piece:
    """One row of `pieces` (columns as in `operators.schema.PIECE`); `pcm` is None when nothing was decoded."""

    member_id: str
    source_uri: str
    source_version: str
    track: int | None
    status: Status
    error_class: str | None = None
    message: str | None = None
    stage: Stage | None = None
    sample_rate: int | None = None
    channels: int | None = None
    channel_layout: str | None = None
    source_clock_seconds: float | None = None
    clip_start_seconds: float | None = None
    clip_end_seconds: float | None = None
    tags: tuple[str, ...] = ()
    start_seconds: float | None = None
    span_samples: int | None = None
    context_before_samples: int | None = None
    pcm: bytearray | None = None


def failed_piece(member: Mapping[str, Any], failure: SourceFailure, track: int | None) -> Piece:
    """The piece that says why a member, or one track of it, has no samples."""
    return Piece(
        member_id=member["member_id"],
        source_uri=member["source_uri"],
        source_version=member["source_version"],
        track=track,
        status=failure.status,
        error_class=failure.error_class,
        message=failure.message,
        stage=failure.stage,
        clip_start_seconds=member["clip_start_seconds"],
        clip_end_seconds=member["clip_end_seconds"],
        tags=tuple(member["tags"] or ()),
        start_seconds=member["start_seconds"],
    )


def pieces_column(units: Sequence[Sequence[Piece]]) -> pa.Array:
    """The column `pieces` of as many rows as there are units."""
    rows = [_struct(piece) for pieces in units for piece in pieces]
    values = pa.concat_arrays(rows) if rows else pa.array([], PIECE)
    offsets = [0]
    for pieces in units:
        offsets.append(offsets[-1] + len(pieces))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, type=UNIT_SCHEMA.field("pieces").type)


def _struct(piece: Piece) -> pa.StructArray:
    """One piece as an array of length 1, its samples not copied."""
    columns = [_binary(piece.pcm) if f.name == "pcm" else pa.array([getattr(piece, f.name)], f.type) for f in PIECE]
    assert [f.name for f in fields(piece)] == [f.name for f in PIECE]
    return pa.StructArray.from_arrays(columns, fields=list(PIECE))


def _binary(data: bytearray | None) -> pa.Array:
    if data is None:
        return pa.array([None], pa.large_binary())
    offsets = pa.array([0, len(data)], pa.int64()).buffers()[1]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), 1, [None, offsets, pa.py_buffer(data)])


def read_pieces(column: pa.StructArray) -> Iterator[dict[str, Any]]:
    """The pieces of a unit as mappings; `pcm` stays a buffer in the object store, not copied."""
    names = [f.name for f in column.type if f.name != "pcm"]
    for row in range(len(column)):
        piece = {name: column.field(name)[row].as_py() for name in names}
        pcm = column.field("pcm")[row]
        yield {**piece, "pcm": pcm.as_buffer() if pcm.is_valid else None}


def unfit(source_uri: str, samples: NDArray[np.float32], sample_rate: int) -> SourceFailure | None:
    """Why no stems can be made of samples [C, T], if so."""
    channels = samples.shape[0]
    lowest, highest = RATES
    if channels > MAX_CHANNELS:
        said = f"{channels} channels are more than the {MAX_CHANNELS} that a stem can hold; mix it down"
        error_class = "too_many_channels"
    elif not lowest <= sample_rate <= highest:
        said = f"its sample rate of {sample_rate} Hz is outside of {lowest} to {highest} Hz; resample it"
        error_class = "rate_out_of_range"
    elif not max(samples.max(), -samples.min()) < LOUDEST:  # NaN is not less than anything
        said, error_class = "some samples are NaN, infinite or beyond +200 dBFS; export it again", "not_finite"
    else:
        return None
    return SourceFailure(
        status="failed",
        error_class=error_class,
        message=f"{source_uri}: {said} and run again with --retry-failed",
        stage="separate",
    )
