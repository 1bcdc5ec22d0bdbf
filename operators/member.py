"""A member of a unit, a span of one source: its identity, and its row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self

from operators.failure import SourceFailure
from operators.source import Source


@dataclass(frozen=True)
class Member:
    """A span of a source: one track from `start_seconds` to `end_seconds` (None: to its end), or every track (None)."""

    source: Source
    track: int | None = None
    start_seconds: float = 0.0
    end_seconds: float | None = None
    problem: SourceFailure | None = None

    @classmethod
    def whole(cls, source: Source, problem: SourceFailure | None = None) -> Self:
        """All that is asked for of a source, not cut: what is small, and what cannot be read."""
        return cls(source, source.track, source.clip_start_seconds, source.clip_end_seconds, problem)

    @property
    def member_id(self) -> str:
        """The identity of the span; it does not depend on the unit that the member is put into, nor on tags."""
        source = self.source
        span = [source.uri, source.version, self.track, self.start_seconds, self.end_seconds]
        if source.is_clip:  # two clips may overlap, and what one of them finds is not the other's
            span += [source.clip_start_seconds, source.clip_end_seconds]
        return _digest("\0".join(repr(part) for part in span))

    def row(self) -> dict[str, Any]:
        """The member as a struct of the plan (`operators.schema.MEMBER`)."""
        problem = self.problem
        return {
            "member_id": self.member_id,
            "source_uri": self.source.uri,
            "source_version": self.source.version,
            "size_bytes": self.source.size_bytes,
            "track": self.track,
            "start_seconds": self.start_seconds,
            "end_seconds": self.end_seconds,
            "clip_start_seconds": self.source.clip_start_seconds or None,
            "clip_end_seconds": self.source.clip_end_seconds,
            "tags": list(self.source.tags),
            "status": problem.status if problem else None,
            "error_class": problem.error_class if problem else None,
            "message": problem.message if problem else None,
            "stage": problem.stage if problem else None,
        }


def next_border(seconds: float, unit_seconds: float) -> float:
    """The first multiple of the unit length after `seconds`, at which a track is cut.

    >>> next_border(0.0, 600.0), next_border(600.0, 600.0), next_border(7.3 * 3, 7.3) == 7.3 * 4
    (600.0, 1200.0, True)
    """
    return (round(seconds / unit_seconds, 6) // 1 + 1) * unit_seconds


def unit_row(members: Sequence[Member], *, seconds: float | None, attempt: int) -> dict[str, Any]:
    """A row of the plan (`operators.schema.PLAN_SCHEMA`)."""
    rows = [member.row() for member in members]
    unit_id = _digest("\0".join(sorted(row["member_id"] for row in rows)))
    return {"unit_id": unit_id, "seconds": seconds, "attempt": attempt, "members": rows}


def _digest(text: str) -> str:
    return blake2b(text.encode(errors="surrogateescape"), digest_size=16).hexdigest()
