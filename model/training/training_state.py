"""Everything a training run needs to go on as if it had never stopped, and where it is kept.

The state holds network, optimizer, moving average, the best average so far, and the curve up to its step, so that all
of them are of one moment.
"""

from __future__ import annotations

import copy
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from model.training.moving_average import MovingAverage

Row = dict[str, float]
State = dict[str, Any]


class StateStore(Protocol):
    """Where states are kept. What is saved must be whole or not there at all."""

    def load(self) -> State | None:
        """The last state, on the CPU; None when there is none."""

    def save(self, state: State) -> None:
        """Keep a state in place of the last one."""


@dataclass(frozen=True)
class StateFile:
    """One file, replaced as a whole."""

    path: Path

    def load(self) -> State | None:
        return read_state(self.path) if self.path.exists() else None

    def save(self, state: State) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".partial")
        try:
            torch.save(state, temporary)
            os.replace(temporary, self.path)
        finally:
            temporary.unlink(missing_ok=True)


def read_state(path: Path) -> State:
    """The state in a file, on the CPU; nothing in it is run."""
    state: State = torch.load(path, map_location="cpu", weights_only=True)
    return state


@dataclass
class TrainingState:
    """The moving parts of a run. `sums` are those of the steps since the last row of the curve."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    average: MovingAverage
    step: int = 0
    best_score: float | None = None
    best: dict[str, Tensor] | None = None
    curve: list[Row] = field(default_factory=list)
    sums: Row = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, terms: dict[str, float]) -> None:
        """Add a step's terms to those that the next row tells the mean of."""
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def means(self) -> Row:
        """Means since the last call, each over the steps that had the term."""
        means = {name: round(value / self.counts[name], 4) for name, value in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means

    def keep_if_best(self, score: float) -> bool:
        """Keep the average when no earlier one scored as much; True when it was kept. A NaN is never kept."""
        if not math.isfinite(score):
            return False
        if self.best_score is not None and score <= self.best_score:
            return False
        self.best_score = score
        self.best = {name: value.detach().cpu().clone() for name, value in self.average.module.state_dict().items()}
        return True

    def best_module(self) -> nn.Module:
        """The average that scored best, or the last one where nothing was scored."""
        module = copy.deepcopy(self.average.module)
        if self.best is not None:
            module.load_state_dict(self.best)
        return module.eval()

    def snapshot(self) -> State:
        """What `restore` takes."""
        return {
            "step": self.step,
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.module.state_dict(),
            "best_score": self.best_score,
            "best": self.best,
            "curve": self.curve,
            "sums": self.sums,
            "counts": self.counts,
        }

    def restore(self, state: State) -> None:
        """Become what `snapshot` told."""
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.module.load_state_dict(state["average"])
        self.step, self.best_score, self.best = int(state["step"]), state["best_score"], state["best"]
        self.curve, self.sums, self.counts = list(state["curve"]), dict(state["sums"]), dict(state["counts"])
