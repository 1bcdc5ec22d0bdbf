"""What was begun: it keeps a poisonous source from killing workers for ever, and a run that is called off from
beginning anything more.

Ray runs a lost worker's unit again without limit. The ledger lives in a small actor of the run; a member that was
being worked on when its worker died `MAX_LOST_WORKERS` times becomes a failure row, and the rest of its unit goes on
without it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, Protocol

from operators.failure import SourceFailure, Stage

MAX_LOST_WORKERS: Final = 3


def worker_lost(source_uri: str, stage: Stage, times: int) -> SourceFailure:
    """The failure of a source whose workers died `times` times."""
    return SourceFailure(
        status="failed",
        error_class="worker_lost",
        message=f"{source_uri}: {times} workers were lost over it (stage {stage}), out of memory most likely; the next "
        "run tries it again: give it more memory",
        stage=stage,
    )


class Attempts(Protocol):
    """What the decoding and the separating stage ask of the ledger."""

    def begin(self, member_id: str) -> int:
        """Notes that work on the member begins; returns how often it had begun before without an end."""
        ...

    def end(self, member_id: str) -> None:
        """Notes that work on the member ended, well or badly, with its worker alive."""
        ...

    def begin_unit(self, unit_id: str) -> int:
        """Notes that the unit begins; returns how often it has by now, 0 when the run was called off before it did."""
        ...


class AttemptLedger:
    """Counts in memory; the body of the actor, and all that a single process needs."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._units: Counter[str] = Counter()
        self._is_called_off = False

    def begin(self, member_id: str) -> int:
        """Notes a beginning; returns how many earlier ones never ended."""
        before = self._open[member_id]
        self._open[member_id] += 1
        return before

    def end(self, member_id: str) -> None:
        """Forgets the member: its worker is alive."""
        self._open.pop(member_id, None)

    def begin_unit(self, unit_id: str) -> int:
        """See `Attempts.begin_unit`. A unit that a lost worker had begun may begin again."""
        if self._is_called_off and unit_id not in self._units:
            return 0
        self._units[unit_id] += 1
        return self._units[unit_id]

    def call_off(self) -> None:
        """From now on no further unit begins."""
        self._is_called_off = True

    def begun(self) -> set[str]:
        """The units that have begun, finished ones too."""
        return set(self._units)


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

    def begin_unit(self, unit_id: str) -> int:
        """See `Attempts.begin_unit`."""
        import ray

        return int(ray.get(self._actor.begin_unit.remote(unit_id)))

    def call_off(self) -> None:
        """See `AttemptLedger.call_off`; it has happened when this returns."""
        import ray

        ray.get(self._actor.call_off.remote())

    def begun(self) -> set[str]:
        """See `AttemptLedger.begun`."""
        import ray

        return set(ray.get(self._actor.begun.remote()))


def remote_ledger() -> RemoteAttempts:
    """A ledger in an actor of its own, on the node of the driver, which the run cannot outlive anyhow: a worker's node
    may go at any moment, and a ledger that is begun again has forgotten everything."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(AttemptLedger)
    return RemoteAttempts(actor.options(scheduling_strategy=here).remote())
