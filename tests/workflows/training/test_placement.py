"""How a training shares a cluster: what fits is sized, what cannot ever fit is said."""

from __future__ import annotations

import pytest

from workflows.cluster import MOST_THREADS, ClusterError
from workflows.training import placement
from workflows.training.placement import TrainingPlacement, training_placement


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


def of_size(monkeypatch: pytest.MonkeyPatch, *, cpus: int, gpus: int = 0, node: int | None = None) -> None:
    sizes = {"CPU": (cpus, cpus), "GPU": (gpus, gpus)}
    monkeypatch.setattr(placement, "most_of", sizes.__getitem__)
    monkeypatch.setattr(placement, "cores_per_node", lambda: node or cpus)


def test_a_worker_takes_a_gpu_where_there_is_one(cluster: pytest.MonkeyPatch) -> None:
    of_size(cluster, cpus=8, gpus=1)
    sized = training_placement("auto", 1, 2)
    assert (sized.use_gpu, sized.mixers) == (True, 2)
    assert sized.resources == {"CPU": 1.0, "GPU": 1.0}


def test_without_a_gpu_it_takes_cores(cluster: pytest.MonkeyPatch) -> None:
    of_size(cluster, cpus=2)
    assert training_placement("auto", 1, 1) == TrainingPlacement(1, False, 2, 1)
    assert training_placement("auto", 1, 1).resources == {"CPU": 1.0}


def test_the_processor_can_be_asked_for_beside_a_gpu(cluster: pytest.MonkeyPatch) -> None:
    of_size(cluster, cpus=8, gpus=1)
    assert not training_placement("cpu", 1, 1).use_gpu


@pytest.mark.parametrize(("workers", "node", "threads"), [(1, 4, 4), (2, 4, 4), (4, 4, 2), (2, 8, 4)])
def test_workers_on_one_node_share_its_threads(
    cluster: pytest.MonkeyPatch, workers: int, node: int, threads: int
) -> None:
    of_size(cluster, cpus=8, node=node)
    assert training_placement("cpu", workers, 1).threads == min(threads, MOST_THREADS)


def test_threads_are_never_more_than_help(cluster: pytest.MonkeyPatch) -> None:
    of_size(cluster, cpus=200)
    assert training_placement("cpu", 1, 1).threads == MOST_THREADS


@pytest.mark.parametrize(
    ("device", "workers", "mixers", "said"),
    [
        ("cuda", 1, 1, "1 workers on GPUs, but the cluster has 0; ask for fewer with --workers, or use --device cpu"),
        ("cpu", 3, 1, "3 workers with 1 mixing actors each need 4.5 cores, but the cluster has 4"),
        ("cpu", 1, 7, "1 workers with 7 mixing actors each need 4.5 cores"),
    ],
)
def test_what_would_wait_for_ever_is_said(
    cluster: pytest.MonkeyPatch, device: str, workers: int, mixers: int, said: str
) -> None:
    of_size(cluster, cpus=4)
    with pytest.raises(ClusterError) as refused:
        training_placement(device, workers, mixers)
    assert said in str(refused.value)
