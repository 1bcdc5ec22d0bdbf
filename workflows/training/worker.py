"""One worker of a training run on Ray: its share of every step, its part of the state.

All workers hold the same network; the first one writes the states, through Ray Train, which keeps them on any storage.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from model.registry import load_model
from model.training.fitting import train_parts, validation_of
from model.training.networks import build_network
from model.training.peers import Alone, Peers, ProcessGroup
from model.training.recipe import Recipe
from model.training.training_state import Row, State, StateFile, read_state
from workflows.training.feed import Feed
from workflows.training.ownership import Ownership

STATE_FILE: Final = "state.pt"


@dataclass(frozen=True)
class WorkerOrders:
    """What every worker is told. `draws`, `validation` and `scoreboard` are references into the cluster."""

    recipe: Recipe
    draws: Any
    validation: Any
    scoreboard: Any
    mixers: int
    threads: int
    ownership: Ownership


class TrainStore:
    """States through Ray Train: every worker reports, the first one with a file, if OUT is still the run's."""

    def __init__(self, rank: int, ownership: Ownership) -> None:
        self.rank, self.ownership = rank, ownership

    def load(self) -> State | None:
        """The last state that was kept."""
        from ray import train

        checkpoint = train.get_checkpoint()
        if checkpoint is None:
            return None
        with checkpoint.as_directory() as folder:
            return read_state(Path(folder) / STATE_FILE)

    def save(self, state: State) -> None:
        """Keep a state. Returns when the first worker's file is where it belongs. Raises TrainingRunError where OUT
        belongs to another run by now."""
        from ray import train

        metrics = {"step": state["step"]}
        if self.rank:
            train.report(metrics)
            return
        self.ownership.expect()
        with tempfile.TemporaryDirectory() as folder:
            StateFile(Path(folder) / STATE_FILE).save(state)
            train.report(metrics, checkpoint=train.Checkpoint.from_directory(folder))


def train_worker(orders: WorkerOrders) -> None:
    """Train until the last step of the recipe."""
    import ray
    from ray import train
    from ray.train.torch import get_device

    context, recipe = train.get_context(), orders.recipe
    torch.set_num_threads(orders.threads)
    peers: Peers = ProcessGroup() if context.get_world_size() > 1 else Alone()
    device = get_device()
    model = load_model(recipe.towers)
    towers = model.clap.to(device).eval().requires_grad_(False)
    network = build_network(recipe.network, towers, recipe.seed).to(device)
    orders.ownership.expect()
    draws, store = ray.get(orders.draws), TrainStore(peers.rank, orders.ownership)
    before = store.load()
    first, curve = (0, []) if before is None else (int(before["step"]), before["curve"])
    feed = Feed(
        orders.draws,
        first=first,
        steps=recipe.schedule.steps,
        worker=peers.rank,
        mixers=orders.mixers,
        device=device,
    )
    validation = validation_of(recipe, ray.get(orders.validation), towers, network.sample_rate)
    if peers.rank == 0:
        orders.scoreboard.begin.remote(curve)
    waiting = _Waiting(feed)

    def tell(row: Row) -> None:
        row["waiting"] = waiting.share()
        if peers.rank == 0:
            orders.scoreboard.add.remote(dict(row))

    train_parts(recipe, network, towers, draws, feed, store, validate=validation, on_log=tell, peers=peers)


class _Waiting:
    """Share of the time since the last call that was spent waiting for examples."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._last = (time.monotonic(), 0.0)

    def share(self) -> float:
        (began, waited), now = self._last, time.monotonic()
        self._last = (now, self._feed.waited_seconds)
        return round((self._feed.waited_seconds - waited) / max(1e-9, now - began), 4)
