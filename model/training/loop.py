"""The one training loop: warm-up, constant rate, linear decay; moving average of the weights; states that resume
exactly.

A task is a function `loss(step) -> dict` whose entry "loss" is differentiated. It draws every random number from
generators seeded by the step, so a run that was killed and resumed sees what the uninterrupted one would have seen.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from model.training.moving_average import MovingAverage
from model.training.peers import Alone, Peers
from model.training.training_state import Row, StateStore, TrainingState

TrainingPrecision = Literal["float32", "bfloat16"]
MOST_SKIPPED = 20
"""Steps in a row whose gradients are not finite, and that are left out."""
SCORE = "score"
"""What a validation calls the number that is the better the larger it is."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast. A resumed run may be given another `steps`; the decay then moves with the end."""

    steps: int = 10_000
    rate: float = 1e-3
    warmup_steps: int = 100
    decay_share: float = 0.3
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    average: float = 0.999
    save_every: int = 100
    log_every: int = 20
    validate_every: int = 500

    def __post_init__(self) -> None:
        counts = ("steps", "warmup_steps", "save_every", "log_every", "validate_every")
        if wrong := [f"{name} = {getattr(self, name)}" for name in counts if getattr(self, name) < 1]:
            raise ValueError(f"a schedule counts from 1, got {', '.join(wrong)}")

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, 0-based."""
        start = self.steps * (1.0 - self.decay_share)
        fall = 1.0 if step < start else max(0.0, (self.steps - step) / max(1.0, self.steps - start))
        return self.rate * min(1.0, (step + 1) / self.warmup_steps) * fall


def print_row(row: Row) -> None:
    """One line of JSON."""
    print(json.dumps(row), flush=True)


def train(
    module: nn.Module,
    loss: Callable[[int], dict[str, Tensor]],
    schedule: Schedule,
    store: StateStore,
    *,
    validate: Callable[[nn.Module], Row] | None = None,
    on_log: Callable[[Row], None] = print_row,
    precision: TrainingPrecision = "float32",
    peers: Peers = Alone(),  # noqa: B008 - holds nothing
) -> TrainingState:
    """Train `module` for `schedule.steps` steps, going on from what `store` holds; returns the state at the end.

    `validate` scores an averaged module every `validate_every` steps and at the end, its entry "score" being the better
    the larger; the best average is kept. With `precision` bfloat16 the task runs under autocast. Peers must be given
    other examples by their tasks, and the same initial weights; what they log and validate is the mean.
    """
    optimizer = torch.optim.AdamW(_decayed(module, schedule.weight_decay), lr=schedule.rate, betas=(0.9, 0.98))
    state = TrainingState(module, optimizer, MovingAverage(module, schedule.average))
    if (before := store.load()) is not None:
        state.restore(before)
    device = next(module.parameters()).device.type
    began, timed_from = time.monotonic(), state.step
    module.train()
    skipped = 0
    while state.step < schedule.steps:
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate_at(state.step)
        buffers = [buffer.clone() for buffer in module.buffers()]
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            terms = loss(state.step)
        optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()  # type: ignore[no-untyped-call]
        peers.average_gradients(module.parameters())
        norm = nn.utils.clip_grad_norm_(module.parameters(), schedule.clip_norm)
        if torch.isfinite(norm):
            optimizer.step()
            state.average.update(module, state.step)
            skipped = 0
            state.count({name: float(value.detach()) for name, value in terms.items()})
        else:
            skipped += 1
            _forget(module, buffers, skipped, state.step)
        state.step += 1
        last = state.step == schedule.steps
        scored = validate is not None and (last or state.step % schedule.validate_every == 0)
        if last or scored or state.step % schedule.log_every == 0:
            seconds = (time.monotonic() - began) / max(1, state.step - timed_from)
            row: Row = {"step": state.step, "seconds_per_step": round(seconds, 3), **peers.mean(state.means())}
            if scored and validate is not None:
                peers.average_buffers(state.average.module)
                scores = peers.mean(validate(state.average.module))
                state.keep_if_best(scores[SCORE])
                row |= {f"validation_{name}": round(value, 4) for name, value in scores.items()}
            state.curve.append(row)
            on_log(row)
            began, timed_from = time.monotonic(), state.step
        if last or state.step % schedule.save_every == 0:
            peers.average_buffers(module)
            peers.average_buffers(state.average.module)
            store.save(state.snapshot())
    return state


def _forget(module: nn.Module, buffers: list[Tensor], skipped: int, step: int) -> None:
    """Undo what a step that is not finite has done to running statistics; too many of them in a row end the run."""
    if skipped == MOST_SKIPPED:
        raise FloatingPointError(
            f"{skipped} steps in a row, the last of them step {step}, had gradients that are not finite; lower the "
            "rate, or train in float32"
        )
    with torch.no_grad():
        for buffer, before in zip(module.buffers(), buffers, strict=True):
            buffer.copy_(before)


def _decayed(module: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    matrices = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in module.parameters() if p.requires_grad and p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
