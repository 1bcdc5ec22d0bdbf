"""The one training loop: warm-up, constant rate, linear decay; moving average of the weights; checkpoints that
resume exactly.

A task is a function `loss(step) -> dict` whose entry "loss" is differentiated. It draws every random number from
generators seeded by the step, so a run that was killed and resumed sees what the uninterrupted one would have seen.
"""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Schedule:
    """How long and how fast. A resumed run may be given another `steps`; the decay then moves with the end."""

    steps: int
    rate: float = 1e-3
    warmup_steps: int = 100
    decay_share: float = 0.3
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    average: float = 0.999
    save_every: int = 100
    log_every: int = 20

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, 0-based."""
        start = self.steps * (1.0 - self.decay_share)
        fall = 1.0 if step < start else max(0.0, (self.steps - step) / max(1.0, self.steps - start))
        return self.rate * min(1.0, (step + 1) / self.warmup_steps) * fall


class MovingAverage:
    """Exponential moving average of a module's parameters and floating-point buffers."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.module = copy.deepcopy(module).eval()

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move towards `module`; early steps move faster, so that the start is forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for mine, theirs in zip(self.module.state_dict().values(), module.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs.to(mine.dtype), 1.0 - decay)
            else:
                mine.copy_(theirs)


def train(
    module: nn.Module,
    loss: Callable[[int], dict[str, Tensor]],
    schedule: Schedule,
    checkpoint: Path,
    *,
    on_log: Callable[[dict[str, float]], None] = lambda row: print(json.dumps(row), flush=True),
) -> nn.Module:
    """Train `module` for `schedule.steps` steps, resuming from `checkpoint` when it exists; returns the averaged
    module."""
    optimizer = torch.optim.AdamW(_decayed(module, schedule.weight_decay), lr=schedule.rate, betas=(0.9, 0.98))
    average = MovingAverage(module, schedule.average)
    step = _restore(checkpoint, module, optimizer, average) if checkpoint.exists() else 0
    sums: dict[str, float] = {}
    summed = 0
    began = time.monotonic()
    module.train()
    while step < schedule.steps:
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate_at(step)
        terms = loss(step)
        optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(module.parameters(), schedule.clip_norm)
        if torch.isfinite(norm):
            optimizer.step()
            average.update(module, step)
        step += 1
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        summed += 1
        if step % schedule.log_every == 0 or step == schedule.steps:
            seconds = (time.monotonic() - began) / summed
            on_log(
                {
                    "step": step,
                    "seconds_per_step": round(seconds, 3),
                    **{k: round(v / summed, 4) for k, v in sums.items()},
                }
            )
            sums, summed, began = {}, 0, time.monotonic()
        if step % schedule.save_every == 0 or step == schedule.steps:
            _save(checkpoint, step, schedule, module, optimizer, average)
    return average.module


def _decayed(module: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    matrices = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in module.parameters() if p.requires_grad and p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def _save(
    path: Path,
    step: int,
    schedule: Schedule,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: MovingAverage,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        "step": step,
        "schedule": asdict(schedule),
        "module": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": average.module.state_dict(),
    }
    temporary = path.with_suffix(".partial")
    torch.save(state, temporary)
    os.replace(temporary, path)


def _restore(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, average: MovingAverage) -> int:
    state = torch.load(path, map_location="cpu", weights_only=True)
    module.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    average.module.load_state_dict(state["average"])
    return int(state["step"])
