"""Which record of a member counts, when several units tell of it.

A member is committed again when an earlier try failed, or when two runs worked at once. The rule:

1. One record per member counts: the best status (ok, no_audio, partial, unreadable, failed), then the latest attempt,
   then the unit_id. It decides the member's row in `sources.parquet`, its coverage, and whether the next run takes it
   up again.
2. Only `ok` and `partial` records have stem rows. Where a record that no longer counts has some, `remove_superseded`
   takes them out.
3. A failure of a source (or clip) as a whole stops counting once a track of the same source, version and clip has been
   committed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from operators.failure import Status, is_transient
from operators.records import SourceRecord, UnitRecord

RANK: Final[dict[Status, int]] = {"ok": 4, "no_audio": 3, "partial": 2, "unreadable": 1, "failed": 0}
WITH_STEMS: Final[frozenset[Status]] = frozenset({"ok", "partial"})


@dataclass(frozen=True)
class MemberOutcome:
    """What became of one member in one unit: all its tracks taken together."""

    status: Status
    error_class: str | None
    attempt: int


def merged_status(statuses: Iterable[Status]) -> Status:
    """The status of several stretches or tracks together: theirs when they agree, `partial` when some audio was read.

    >>> merged_status(["ok", "ok"]), merged_status(["ok", "failed"]), merged_status(["unreadable", "failed"])
    ('ok', 'partial', 'failed')
    """
    different = set(statuses)
    if len(different) > 1 and different & WITH_STEMS:
        return "partial"
    return min(different, key=lambda status: RANK[status])


def member_outcomes(record: UnitRecord) -> dict[str, MemberOutcome]:
    """The outcome of every member the unit tells of.

    Of several error classes a transient one is named, so that it is tried again.
    """
    sources: dict[str, list[SourceRecord]] = {}
    for source in record.sources:
        sources.setdefault(source.member_id, []).append(source)
    outcomes = {}
    for member_id, tracks in sources.items():
        errors = [track.error_class for track in tracks if track.error_class]
        error_class = next((name for name in errors if is_transient(name)), errors[0] if errors else None)
        outcomes[member_id] = MemberOutcome(
            merged_status(track.status for track in tracks), error_class, record.attempt
        )
    return outcomes


def outranks(one: UnitRecord, other: UnitRecord) -> bool:
    """True when `one` tells nothing worse of any member of `other`, and something better of at least one."""
    ours, theirs = member_outcomes(one), member_outcomes(other)
    differences = [
        RANK[ours[member].status] - RANK[theirs[member].status] if member in ours else -1 for member in theirs
    ]
    return bool(differences) and min(differences) >= 0 and max(differences) > 0


@dataclass(slots=True)
class Entry:
    """The record of a member that counts, and how often the member was tried in all."""

    unit_id: str
    run_id: str
    outcome: MemberOutcome
    sources: list[SourceRecord]
    attempts: int

    @property
    def precedence(self) -> tuple[int, int, str]:
        return RANK[self.outcome.status], self.outcome.attempt, self.unit_id


@dataclass
class Ledger:
    """Every member of the dataset with the record that counts."""

    members: dict[str, Entry] = field(default_factory=dict)
    superseded: dict[str, set[str]] = field(default_factory=dict)
    """unit_id -> its members whose record no longer counts."""
    superseded_stems: Counter[str] = field(default_factory=Counter)
    """unit_id -> stem rows of these members, which `remove_superseded` takes out."""
    units: int = 0
    wall_seconds: float = 0.0

    def add(self, record: UnitRecord) -> None:
        """Takes one unit into account; the order of calls does not matter."""
        self.units += 1
        self.wall_seconds += record.wall_seconds
        for member_id, outcome in member_outcomes(record).items():
            sources = [source for source in record.sources if source.member_id == member_id]
            entry = Entry(record.unit_id, record.run_id, outcome, sources, record.attempt)
            known = self.members.get(member_id)
            if known is not None:
                entry.attempts = known.attempts = max(known.attempts, record.attempt)
                loser = min(known, entry, key=lambda candidate: candidate.precedence)
                self.superseded.setdefault(loser.unit_id, set()).add(member_id)
                self.superseded_stems.update({loser.unit_id: sum(source.stems for source in loser.sources)})
                if loser is entry:
                    continue
            self.members[member_id] = entry

    def counts(self, unit_id: str, member_id: str) -> bool:
        """True when what this unit tells of this member is what counts."""
        return member_id not in self.superseded.get(unit_id, ())

    def sources(self) -> list[tuple[SourceRecord, int]]:
        """The source records that count, each with the number of attempts (rules 1 and 3)."""
        told = [(source, entry.attempts) for entry in self.members.values() for source in entry.sources]
        reached = {_version(source) for source, _ in told if source.track is not None}
        # The version is unknown when the source could not be looked at.
        reached |= {(uri, "", start, end) for uri, _, start, end in reached}
        return [
            (source, attempts)
            for source, attempts in told
            if source.track is not None or source.status == "no_audio" or _version(source) not in reached
        ]


def _version(source: SourceRecord) -> tuple[str, str, float | None, float | None]:
    return source.source_uri, source.source_version, source.clip_start_seconds, source.clip_end_seconds
