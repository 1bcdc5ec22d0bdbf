"""How often the members of a unit were begun and never finished: what keeps a poisonous source from killing workers
for ever.

Ray runs a lost worker's unit again without limit. The ledger lives in a small actor of the run; a member that was
being worked on when its worker died `MAX_LOST_WORKERS` times becomes a failure row, and the rest of its unit goes on
without it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, Protocol

MAX_LOST_WORKERS: Final = 3


class Attempts(Protocol):
    """What the separating stage asks of the ledger."""

    def begin(self, member_id: str) -> int:
        """Notes that work on the member begins; returns how often it had begun before without an end."""
        ...

    def end(self, member_id: str) -> None:
        """Notes that work on the member ended, well or badly, with its worker alive."""
        ...


class AttemptLedger:
    """Counts in memory; the body of the actor, and all that a single process needs."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def begin(self, member_id: str) -> int:
        """Notes a beginning; returns how many earlier ones never ended."""
        before = self._open[member_id]
        self._open[member_id] += 1
        return before

    def end(self, member_id: str) -> None:
        """Forgets the member: its worker is alive."""
        self._open.pop(member_id, None)


class RemoteAttempts:
    """The ledger in its actor, asked by handle."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def begin(self, member_id: str) -> int:
        """See `AttemptLedger.begin`."""
        import ray

        return int(ray.get(self._actor.begin.remote(member_id)))

    def end(self, member_id: str) -> None:
        """See `AttemptLedger.end`; not waited for."""
        self._actor.end.remote(member_id)
