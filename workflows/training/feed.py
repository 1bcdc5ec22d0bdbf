"""Examples for one training worker, mixed on other cores while the network trains.

    numbers of steps -> mixing actors, each with steps of its own -> arrays, in the order of the steps -> the worker

Every step is made from its seeds and its worker alone, so a run that goes on at step N sees what it would have seen.

Plain actors, not Ray Data: its executor runs in the process that consumes, and polls without a pause while its output
waits to be taken; the network needs that interpreter as well, and trained at a fraction of its speed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch

from model.training.examples import Examples
from model.training.mixtures import MixtureDraw

MIXER_CPUS: Final = 0.5
AHEAD: Final = 2
"""So many steps of every mixing actor are asked for before they are needed."""
TRIES_AGAIN: Final = 3
"""So often a mixing actor that is lost is made anew, and tries a step again. Our choice."""


class Mix:
    """One mixing actor: the number of a step becomes the examples of every part."""

    def __init__(self, draws: Any, worker: int) -> None:
        import ray

        torch.set_num_threads(1)
        self.draws: Sequence[MixtureDraw] = ray.get(draws[0])
        self.worker = worker

    def mixed(self, step: int) -> list[dict[str, Any]]:
        """The examples of a step, packed."""
        return packed([draw(step, self.worker) for draw in self.draws])


class Feed:
    """`feed(step)` waits for the examples of a step; `waited_seconds` adds up how long."""

    def __init__(self, draws: Any, *, first: int, steps: int, worker: int, mixers: int, device: torch.device) -> None:
        self.waited_seconds = 0.0
        self._device, self._next, self._asked, self._steps = device, first, first, steps
        self._coming: deque[Any] = deque()
        self._mixers = _mixers(draws, worker, mixers) if first < steps else []
        self._ask()

    def __call__(self, step: int) -> tuple[Examples, ...]:
        import ray

        if step != self._next:
            raise ValueError(f"steps come in their order, the next is {self._next}, got {step}")
        began = time.monotonic()
        parts = ray.get(self._coming.popleft())
        self.waited_seconds += time.monotonic() - began
        self._next += 1
        self._ask()
        return tuple(examples.to(self._device) for examples in unpacked(parts))

    def _ask(self) -> None:
        """For the steps that come next."""
        while self._asked < min(self._steps, self._next + AHEAD * len(self._mixers)):
            mixer = self._mixers[self._asked % len(self._mixers)]
            self._coming.append(mixer.mixed.remote(self._asked))
            self._asked += 1


def _mixers(draws: Any, worker: int, count: int) -> list[Any]:
    """Mixing actors; one that is lost is made anew, and so is what it was asked for."""
    import ray

    mixing = ray.remote(Mix).options(num_cpus=MIXER_CPUS, max_restarts=TRIES_AGAIN, max_task_retries=TRIES_AGAIN)
    return [mixing.remote([draws], worker) for _ in range(count)]


def packed(parts: Sequence[Examples]) -> list[dict[str, Any]]:
    """Examples as arrays, which Ray carries without copying, and words."""
    return [
        {
            "sounds": examples.sounds.numpy(),
            "captions": examples.captions,
            "phrases": examples.phrases,
            "sample_rate": examples.sample_rate,
            "exemplars": None if examples.exemplars is None else examples.exemplars.numpy(),
        }
        for examples in parts
    ]


def unpacked(parts: Sequence[dict[str, Any]]) -> list[Examples]:
    """What `packed` made plain, and may be written to. The mixture is the sum of its sounds, as it was."""
    return [
        Examples(
            mixture=torch.from_numpy(part["sounds"].sum(axis=1)),
            sounds=torch.from_numpy(np.array(part["sounds"])),
            captions=part["captions"],
            phrases=part["phrases"],
            sample_rate=part["sample_rate"],
            exemplars=None if part["exemplars"] is None else torch.from_numpy(np.array(part["exemplars"])),
        )
        for part in parts
    ]
