"""A decoded piece of a track, and how a unit's pieces become one Arrow column without copying samples needlessly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pyarrow as pa

from operators.failure import SourceFailure, Stage, Status
from operators.schema import PIECE, UNIT_SCHEMA


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
