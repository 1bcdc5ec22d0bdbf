"""Examples for one training worker, mixed on other cores by Ray Data while the network trains.

    numbers of steps -> mixing actors -> rows of arrays, in the order of the steps -> the worker

Every row is made from the seeds of its step and worker alone, so a run that goes on at step N sees what it would have
seen.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import torch

from model.training.examples import Examples
from model.training.mixtures import MixtureDraw

MIXER_CPUS: Final = 0.5
STEPS_AT_ONCE: Final = 8
"""Steps that a mixing actor is told to make; what is ready of them is passed on meanwhile."""
AHEAD: Final = 2
"""So many tellings wait at a mixing actor, or in the worker's own store."""


class Mix:
    """One mixing actor: the number of a step becomes the examples of every part."""

    def __init__(self, draws: Any, worker: int) -> None:
        import ray

        torch.set_num_threads(1)
        self.draws: Sequence[MixtureDraw] = ray.get(draws[0])
        self.worker = worker

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for first, end in zip(batch["first"], batch["end"], strict=True):
            for step in range(int(first), int(end)):
                yield packed([draw(step, self.worker) for draw in self.draws])


class Feed:
    """`feed(step)` waits for the examples of a step; `waited_seconds` adds up how long."""

    def __init__(self, draws: Any, *, first: int, steps: int, worker: int, mixers: int, device: torch.device) -> None:
        self.waited_seconds = 0.0
        self._device, self._next = device, first
        self._rows = _rows(draws, first, steps, worker, mixers)

    def __call__(self, step: int) -> tuple[Examples, ...]:
        if step != self._next:
            raise ValueError(f"steps come in their order, the next is {self._next}, got {step}")
        began = time.monotonic()
        row = next(self._rows)
        self.waited_seconds += time.monotonic() - began
        self._next += 1
        return tuple(examples.to(self._device) for examples in unpacked(row))


def _rows(draws: Any, first: int, steps: int, worker: int, mixers: int) -> Iterator[dict[str, Any]]:
    import ray
    from ray.data import ActorPoolStrategy, DataContext

    if steps <= first:
        return
    context = DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # Not `range`: it runs tasks that book a whole core, which the worker and its mixing actor may not leave.
    told = [
        pa.table({"first": [at], "end": [min(at + STEPS_AT_ONCE, steps)]}) for at in range(first, steps, STEPS_AT_ONCE)
    ]
    mixed = ray.data.from_blocks(told).map_batches(
        Mix,
        batch_size=1,
        compute=ActorPoolStrategy(size=mixers, max_tasks_in_flight_per_actor=AHEAD),
        num_cpus=MIXER_CPUS,
        fn_constructor_args=([draws], worker),
    )
    for batch in mixed.iter_batches(batch_size=1, batch_format="numpy", prefetch_batches=AHEAD):
        yield {name: values[0] for name, values in batch.items()}


def packed(parts: Sequence[Examples]) -> dict[str, Any]:
    """One row of a step: arrays, and the words as they are."""
    row: dict[str, Any] = {}
    for number, examples in enumerate(parts):
        row[f"sounds{number}"] = examples.sounds.numpy()[None]
        row[f"captions{number}"] = _column(examples.captions)
        row[f"phrases{number}"] = _column(examples.phrases)
        row[f"rate{number}"] = np.array([examples.sample_rate])
        if examples.exemplars is not None:
            row[f"exemplars{number}"] = examples.exemplars.numpy()[None]
    return row


def unpacked(row: dict[str, Any]) -> list[Examples]:
    """What `packed` put together. The mixture is the sum of its sounds, as it was."""
    parts = []
    for number in range(sum(name.startswith("sounds") for name in row)):
        sounds, exemplars = np.array(row[f"sounds{number}"]), row.get(f"exemplars{number}")
        parts.append(
            Examples(
                mixture=torch.from_numpy(sounds.sum(axis=1)),
                sounds=torch.from_numpy(sounds),
                captions=_words(row[f"captions{number}"]),
                phrases=_words(row[f"phrases{number}"]),
                sample_rate=int(row[f"rate{number}"]),
                exemplars=None if exemplars is None else torch.from_numpy(np.array(exemplars)),
            )
        )
    return parts


def _column(words: Any) -> Any:
    """A column of one value: nested texts, as JSON."""
    return np.array([json.dumps(words)])


def _words(text: Any) -> Any:
    return _tuples(json.loads(str(text)))


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
