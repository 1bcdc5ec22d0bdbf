"""How a training shares a cluster: one worker per GPU, or per group of cores, and mixing actors beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from workflows.cluster import MOST_THREADS, ClusterError, cores_per_node, most_of
from workflows.training.feed import MIXER_CPUS

WORKER_CPUS: Final = 1.0
"""What a worker books; its threads use what the bookings of a node leave."""


@dataclass(frozen=True)
class TrainingPlacement:
    """What `ray.train.ScalingConfig` is told, and threads and mixing actors of every worker."""

    workers: int
    use_gpu: bool
    threads: int
    mixers: int

    @property
    def resources(self) -> dict[str, float]:
        """What one worker books."""
        return {"CPU": WORKER_CPUS} | ({"GPU": 1.0} if self.use_gpu else {})


def training_placement(device: str, workers: int, mixers: int) -> TrainingPlacement:
    """Sizes on the cluster that is connected. Raises ClusterError for what it cannot hold: it would wait for ever."""
    cpus, _ = most_of("CPU")
    gpus, _ = most_of("GPU")
    if device == "auto":
        device = "cuda" if gpus else "cpu"
    if device == "cuda" and gpus < workers:
        raise ClusterError(
            f"{workers} workers on GPUs, but the cluster has {gpus}; ask for fewer with --workers, or use --device cpu"
        )
    needed = workers * (WORKER_CPUS + mixers * MIXER_CPUS)
    if needed > cpus:
        raise ClusterError(
            f"{workers} workers with {mixers} mixing actors each need {needed:g} cores, but the cluster has {cpus}; "
            "ask for fewer with --workers or --mixers"
        )
    cores = cores_per_node()
    shared = 1 if device == "cuda" else -(-workers * cores // max(cores, cpus))  # workers that meet on a node
    return TrainingPlacement(workers, device == "cuda", max(1, min(MOST_THREADS, cores // shared)), mixers)
