"""Where workers write what the driver draws: rows of the curve, in an actor that costs nothing."""

from __future__ import annotations

from typing import Any

from model.training.training_state import Row


class Scoreboard:
    """Rows of a run, in the order in which they came; a run that goes on begins with those it had."""

    def __init__(self) -> None:
        self._rows: list[Row] = []

    def begin(self, rows: list[Row]) -> None:
        """The run begins, or begins again, after these rows."""
        self._rows = list(rows)

    def add(self, row: Row) -> None:
        """One more row."""
        self._rows.append(row)

    def rows(self) -> list[Row]:
        """All rows so far."""
        return self._rows


def remote_scoreboard() -> Any:
    """A scoreboard on the node of this process, with which it would be lost."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0)(Scoreboard).options(scheduling_strategy=here).remote()
