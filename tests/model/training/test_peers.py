"""Workers with a part of the batch each take the step that one worker takes with all of it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from shared_run import trained
from torch import Tensor, distributed, nn

from model.training.peers import Alone, ProcessGroup

ROOT = Path(__file__).parents[3]


def expect_the_same(one: nn.Module, others: list[dict[str, Tensor]]) -> None:
    for state in others:
        for name, value in one.state_dict().items():
            assert torch.allclose(state[name], value, atol=1e-6), name


class Meeting:
    """Two threads as the two workers of a process group: sums wait for each other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.barrier, self.given = threading.Barrier(2, timeout=20), dict[int, Any]()
        self.own = threading.local()
        for name in ("get_rank", "get_world_size", "get_backend", "all_reduce", "all_gather_object"):
            monkeypatch.setattr(distributed, name, getattr(self, name))

    def get_rank(self) -> int:
        return int(self.own.rank)

    def get_world_size(self) -> int:
        return 2

    def get_backend(self) -> str:
        return "gloo"

    def all_reduce(self, tensor: Tensor) -> None:
        self.given[self.own.rank] = tensor.clone()
        self.barrier.wait()
        tensor.copy_(self.given[0] + self.given[1])
        self.barrier.wait()

    def all_gather_object(self, gathered: list[Any], given: Any) -> None:
        self.given[self.own.rank] = given
        self.barrier.wait()
        gathered[:] = [self.given[0], self.given[1]]
        self.barrier.wait()

    def run(self, work: Callable[[ProcessGroup], Any]) -> list[Any]:
        """What each worker returns."""
        results: dict[int, Any] = {}

        def worker(rank: int) -> None:
            self.own.rank = rank
            try:
                results[rank] = work(ProcessGroup())
            except BaseException as error:
                results[rank] = error
                self.barrier.abort()

        threads = [threading.Thread(target=worker, args=(rank,)) for rank in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in results.values():
            if isinstance(result, BaseException):
                raise result
        return [results[rank] for rank in range(2)]


@pytest.fixture
def meeting(monkeypatch: pytest.MonkeyPatch) -> Meeting:
    return Meeting(monkeypatch)


def test_two_workers_with_half_of_the_batch_equal_one_with_all_of_it(meeting: Meeting, tmp_path: Path) -> None:
    whole, rows = trained(Alone(), tmp_path / "alone.pt")
    halves = meeting.run(lambda peers: trained(peers, tmp_path / f"{peers.rank}.pt"))
    expect_the_same(whole, [module.state_dict() for module, _ in halves])
    assert halves[0][1] == halves[1][1]  # what they tell is the mean, whoever tells it
    for alone, together in zip(rows, halves[0][1], strict=True):
        assert together["loss"] == pytest.approx(alone["loss"], abs=1e-4)
        assert together["rank"] == 0.5
    assert halves[0][1][-1]["validation_score"] == pytest.approx(rows[-1]["validation_score"] + 0.5, abs=1e-3)


def test_a_worker_that_did_not_use_a_weight_gets_the_gradient_of_the_one_that_did(meeting: Meeting) -> None:
    def used_by_the_first(peers: ProcessGroup) -> list[Tensor]:
        used, frozen = nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(3), requires_grad=False)
        if peers.rank == 0:
            (4.0 * used.sum()).backward()  # type: ignore[no-untyped-call]
        peers.average_gradients([used, frozen])
        assert frozen.grad is None
        assert used.grad is not None
        return [used.grad]

    for (gradient,) in meeting.run(used_by_the_first):
        assert torch.equal(gradient, torch.full((2, 3), 2.0))


def test_running_means_are_averaged_and_counters_are_left_alone(meeting: Meeting) -> None:
    def averaged(peers: ProcessGroup) -> nn.BatchNorm1d:
        norm = nn.BatchNorm1d(3)
        norm.running_mean.fill_(float(peers.rank))  # type: ignore[union-attr]
        norm.num_batches_tracked.fill_(7 + peers.rank)  # type: ignore[union-attr]
        peers.average_buffers(norm)
        return norm

    for rank, norm in enumerate(meeting.run(averaged)):
        assert torch.equal(norm.running_mean, torch.full((3,), 0.5))
        assert torch.equal(norm.running_var, torch.ones(3))
        assert int(norm.num_batches_tracked) == 7 + rank


def test_a_network_without_gradients_or_buffers_asks_nobody(meeting: Meeting) -> None:
    def nothing(peers: ProcessGroup) -> dict[str, float]:
        peers.average_gradients([nn.Parameter(torch.ones(2), requires_grad=False)])
        peers.average_buffers(nn.Linear(2, 2))
        told = {"b": 1.0 + peers.rank, "a": 10.0}
        return peers.mean(told if peers.rank == 0 else told | {"c": 4.0})

    assert meeting.run(nothing) == [{"a": 10.0, "b": 1.5, "c": 4.0}] * 2  # what one alone tells is its mean


def test_one_worker_alone_changes_nothing() -> None:
    weight = nn.Parameter(torch.ones(2))
    weight.sum().backward()  # type: ignore[no-untyped-call]
    Alone().average_gradients([weight])
    Alone().average_buffers(nn.BatchNorm1d(2))
    assert weight.grad is not None
    assert torch.equal(weight.grad, torch.ones(2))
    assert Alone().mean({"a": 1.0}) == {"a": 1.0}


@pytest.mark.slow
def test_two_processes_over_gloo_equal_one(tmp_path: Path) -> None:
    whole, _ = trained(Alone(), tmp_path / "alone.pt")
    paths = {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests")))}
    command = [sys.executable, str(ROOT / "tests" / "shared_run.py")]
    workers = [subprocess.Popen([*command, str(rank), str(tmp_path)], env=os.environ | paths) for rank in range(2)]
    assert [worker.wait(timeout=200) for worker in workers] == [0, 0]
    expect_the_same(whole, [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)])
