"""The training loop: a killed and resumed run is the uninterrupted one, to the bit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from model.training.loop import Schedule, train
from model.training.moving_average import MovingAverage
from model.training.training_state import StateFile

Log = list[dict[str, float]]
SCHEDULE = Schedule(steps=24, rate=0.01, warmup_steps=4, save_every=5, log_every=1, average=0.9)


class Killed(Exception):
    """Stands for the signal that ends a process between two steps."""


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.SiLU(), nn.Linear(8, 1))


def regression(module: nn.Module, losses: list[float], *, kill_at: int | None = None) -> Callable[[int], dict]:
    """A task whose batch depends on the step alone; it notes every loss."""

    def loss(step: int) -> dict[str, Tensor]:
        if step == kill_at:
            raise Killed
        x = torch.from_numpy(np.random.default_rng([7, step]).standard_normal((16, 6)).astype(np.float32))
        error = (module(x)[:, 0] - x.sum(dim=1).tanh()).square().mean()
        losses.append(float(error.detach()))
        return {"loss": error, "half": error / 2}

    return loss


def state(module: nn.Module) -> list[Tensor]:
    return [value.clone() for value in module.state_dict().values()]


def averaged(*args: Any, **kwargs: Any) -> nn.Module:
    return train(*args, **kwargs).average.module


def quiet(row: dict[str, float]) -> None:
    pass


@pytest.mark.parametrize("kills", [[12], [3], [5, 6, 23]], ids=str)
def test_a_killed_and_resumed_run_equals_the_uninterrupted_one(tmp_path: Path, kills: list[int]) -> None:
    whole, whole_losses = network(), list[float]()
    average = averaged(whole, regression(whole, whole_losses), SCHEDULE, StateFile(tmp_path / "whole.pt"), on_log=quiet)
    curve: dict[int, float] = {}
    for kill_at in [*kills, None]:
        module, losses = network(), list[float]()
        task = regression(module, losses, kill_at=kill_at)
        path = tmp_path / "killed.pt"
        first = int(torch.load(path, weights_only=True)["step"]) if path.exists() else 0
        try:
            resumed = averaged(module, task, SCHEDULE, StateFile(path), on_log=quiet)
        except Killed:
            assert kill_at is not None
        for step, loss in enumerate(losses, start=first):
            assert curve.setdefault(step, loss) == loss  # steps that were lost come back the same
    assert [curve[step] for step in range(SCHEDULE.steps)] == whole_losses
    assert all(map(torch.equal, state(module), state(whole)))
    assert all(map(torch.equal, state(resumed), state(average)))


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    module = network()
    average = averaged(module, regression(module, []), SCHEDULE, StateFile(tmp_path / "run.pt"), on_log=quiet)
    again, losses = network(), list[float]()
    same = averaged(again, regression(again, losses), SCHEDULE, StateFile(tmp_path / "run.pt"), on_log=quiet)
    assert losses == []
    assert all(map(torch.equal, state(same), state(average)))
    assert all(map(torch.equal, state(again), state(module)))


def test_a_kill_while_saving_leaves_the_checkpoint_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, save = tmp_path / "run.pt", torch.save

    def torn(value: object, to: Path) -> None:
        if value["step"] == 10:
            to.write_bytes(b"half a file")
            raise Killed
        save(value, to)

    monkeypatch.setattr(torch, "save", torn)
    module = network()
    with pytest.raises(Killed):
        train(module, regression(module, []), SCHEDULE, StateFile(path), on_log=quiet)
    assert torch.load(path, weights_only=True)["step"] == 5


def test_the_loss_goes_down_and_the_average_is_in_eval_mode(tmp_path: Path) -> None:
    module, losses = network(), list[float]()
    average = averaged(
        module, regression(module, losses), Schedule(steps=150, rate=0.02), StateFile(tmp_path / "r.pt"), on_log=quiet
    )
    assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:20])
    assert not average.training
    assert average is not module


def test_the_rate_warms_up_stays_and_falls_to_nothing() -> None:
    schedule = Schedule(steps=1000, rate=0.5, warmup_steps=100, decay_share=0.3)
    rates = np.array([schedule.rate_at(step) for step in range(1000)])
    assert rates[0] == pytest.approx(0.005)
    assert (np.diff(rates[:100]) > 0).all()
    assert (rates[99:701] == 0.5).all()
    assert (np.diff(rates[700:]) < 0).all()
    assert rates[-1] == pytest.approx(0.5 / 300)
    assert schedule.rate_at(1000) == 0.0


def test_a_longer_run_moves_the_decay_and_keeps_what_came_before() -> None:
    short, long = Schedule(steps=1000, warmup_steps=10), Schedule(steps=2000, warmup_steps=10)
    assert [short.rate_at(step) for step in range(700)] == [long.rate_at(step) for step in range(700)]
    assert long.rate_at(999) == long.rate


def test_a_schedule_shorter_than_its_warm_up_has_positive_rates() -> None:
    schedule = Schedule(steps=5)
    assert all(0 < schedule.rate_at(step) <= schedule.rate for step in range(5))


@pytest.mark.parametrize(("steps", "log_every", "expected"), [(24, 10, [10, 20, 24]), (6, 20, [6]), (4, 2, [2, 4])])
def test_the_log_tells_the_mean_since_the_last_row(
    tmp_path: Path, steps: int, log_every: int, expected: list[int]
) -> None:
    module, losses, log = network(), list[float](), Log()
    schedule = Schedule(steps=steps, warmup_steps=4, log_every=log_every)
    train(module, regression(module, losses), schedule, StateFile(tmp_path / "run.pt"), on_log=log.append)
    assert [row["step"] for row in log] == expected
    for start, row in zip([0, *expected], log, strict=False):
        assert row["loss"] == pytest.approx(np.mean(losses[start : int(row["step"])]), abs=1e-4)
        assert row["half"] == pytest.approx(row["loss"] / 2, abs=1e-4)


def test_a_step_that_is_not_finite_is_left_out(tmp_path: Path) -> None:
    module = network()
    before = state(module)

    def broken(step: int) -> dict[str, Tensor]:
        return {"loss": module[3].weight.sum() * float("nan")}

    train(module, broken, Schedule(steps=3), StateFile(tmp_path / "run.pt"), on_log=quiet)
    assert all(map(torch.equal, state(module), before))


def test_vectors_are_not_decayed(tmp_path: Path) -> None:
    module = network()
    before = copy.deepcopy(module)
    schedule = Schedule(steps=10, rate=0.1, warmup_steps=1, weight_decay=0.5)
    train(
        module,
        lambda step: {"loss": 0.0 * sum(p.sum() for p in module.parameters())},
        schedule,
        StateFile(tmp_path / "r.pt"),
        on_log=quiet,
    )
    for trained, original in zip(module.parameters(), before.parameters(), strict=True):
        assert torch.equal(trained, original) == (original.ndim <= 1)


def test_the_moving_average_follows_fast_at_first_and_copies_whole_numbers() -> None:
    module = network()
    average = MovingAverage(module, 0.999)
    with torch.no_grad():
        module[0].weight.add_(1.0)
        module[1].num_batches_tracked.fill_(42)

    def distance() -> float:
        return float((module[0].weight - average.module[0].weight).detach().abs().max())

    assert distance() == pytest.approx(1.0)
    average.update(module, step=0)
    assert distance() == pytest.approx(0.1, rel=1e-3)
    assert int(average.module[1].num_batches_tracked) == 42
    for _ in range(5):
        average.update(module, step=10**6)
    assert distance() == pytest.approx(0.1 * 0.999**5, rel=1e-3)
