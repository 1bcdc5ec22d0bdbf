"""The Ray cluster a workflow runs on, and how its cores and accelerators are shared between the stages."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from operators.dataset import SIGNATURE_FILE
from operators.whole_file import place
from workflows.cluster_address import JOBS, OURS, wrong_cluster
from workflows.interrupt import terminated_like_interrupted

LOCAL_STORE_BYTES: Final = 1536 * 2**20
"""Object store of the embedded Ray: a handful of decoded units (at most 230 MB each) in flight."""
MOST_THREADS: Final = 8
"""Threads of one separating actor on a CPU; beyond that, further actors. Our choice, not measured."""
UNITS_WORTH_A_NODE: Final = 10
"""A separator that a node has to be started for wants so many units: the node takes minutes to come. Our choice."""
ANSWER_SECONDS: Final = 120.0
"""For what is asked of all nodes at once: a worker has to start there, and to read the checkpoint. Our choice."""
MODELS_FOLDER: Final = "SOUNDQUARRY_MODELS"
CLUSTER_MAXIMUM: Final = {"CPU": "SOUNDQUARRY_MAX_CPUS", "GPU": "SOUNDQUARRY_MAX_GPUS"}
"""What an autoscaling cluster may grow to. Ray's own autoscaler does not tell the driver; the chart does."""
NODE_CORES: Final = "SOUNDQUARRY_NODE_CPUS"
"""Cores of the smallest node that such a cluster may start, so that sizes do not depend on which of them are there."""
WORKER_ENVIRONMENT: Final = {
    # Idle threads of one operator must not spin: the cores belong to decoding and encoding meanwhile.
    "OMP_WAIT_POLICY": "PASSIVE",
    "HF_HUB_OFFLINE": "1",
    # Keep freed blocks of a window's size: giving them back costs a page fault per page in every window.
    "MALLOC_TRIM_THRESHOLD_": "536870912",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
}


def worker_environment() -> dict[str, str]:
    """Environment of the workers: what is set for all, and where fetched models lie if this process was told."""
    told = os.environ.get(MODELS_FOLDER)
    return WORKER_ENVIRONMENT | ({MODELS_FOLDER: told} if told else {})


class ClusterError(RuntimeError):
    """The cluster cannot run the pipeline; the message says what is missing."""


@dataclass(frozen=True)
class Placement:
    """How many actors of which size. On accelerators one separator each; on CPUs one per group of cores."""

    device: str
    separators: int
    separator_cpus: float
    separator_gpus: float
    threads: int
    decoders: int
    decoder_cpus: float


@contextlib.contextmanager
def ray_cluster(address: str | None = None) -> Iterator[None]:
    """Ray for the time of a run: the cluster at `address` or in RAY_ADDRESS, else one embedded in this process."""
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DATA_CLUSTER_SCALING_UP_UTIL_THRESHOLD", "2")  # nodes come for actors that wait for them
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # Ray warns of every actor that can be restarted
    import ray

    address = address or os.environ.get("RAY_ADDRESS")
    if ray.is_initialized():
        yield
        return
    with terminated_like_interrupted() as set_up_again:
        _connect(address)
        set_up_again()  # `ray.init` has set a handler of its own
        _quiet()
        try:
            yield
        finally:
            ray.shutdown()


def check_cluster(address: str | None) -> None:
    """Raises ClusterError when there is no cluster to join at `address` or in RAY_ADDRESS."""
    address = address or os.environ.get("RAY_ADDRESS")
    if address and (said := wrong_cluster(address)):
        raise ClusterError(said)


def _connect(address: str | None) -> None:
    import ray

    if address:
        here = {"address": address, "logging_level": logging.WARNING}
    else:
        here = {
            "address": "local",
            "include_dashboard": False,
            "object_store_memory": LOCAL_STORE_BYTES,
            "logging_level": logging.ERROR,
        }
    try:
        with _quiet_stderr():
            ray.init(**here, log_to_driver=False, runtime_env={"env_vars": worker_environment()})
    except Exception as error:  # of many kinds, Exception itself among them
        where = f"the Ray cluster at {address} cannot be joined" if address else "Ray does not start on this machine"
        said = str(error).strip().partition("\n")[0]
        raise ClusterError(
            f"{where} ({type(error).__name__}: {said}); "
            + (f"{OURS}; {JOBS}" if address else "see whether it has room")
        ) from error


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Nothing on file descriptor 2 meanwhile: Ray's C++ part announces its log level there. Errors are exceptions."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _quiet() -> None:
    """Ray Data reports through our receipts; its own bars and info lines would be drawn over ours."""
    from ray.data import DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def placement(device: str, workers: int | None = None, units: int | None = None) -> Placement:
    """Sizes of the actor pools for `units` of work (None: as many as there can be) on the cluster that is connected.

    `device`: auto, cpu or cuda. Nodes that an autoscaler would start count (`CLUSTER_MAXIMUM`); it starts them for the
    actors that wait, so there are no more of those than the work is worth. Raises ClusterError when the pipeline could
    not start: an actor pool that takes every core would wait for ever for the decoding that feeds it.
    """
    cpus, cpus_there = most_of("CPU")
    gpus, gpus_there = most_of("GPU")
    if device == "auto":
        device = "cuda" if gpus else "cpu"
    if cpus < 1:
        raise ClusterError("the cluster has no CPU for decoding; add a worker with at least one core")
    if device == "cuda":
        if not gpus:
            raise ClusterError(
                "--device cuda, but the cluster offers no GPU; use --device cpu, or add a GPU worker (where GPU nodes "
                f"are started when they are asked for, {CLUSTER_MAXIMUM['GPU']} tells how many there may be)"
            )
        separators = _worth(min(workers or gpus, gpus), units, there=workers or gpus_there)
        decoders = max(1, min(cpus - 1, 4 * separators, units or cpus))
        return Placement("cuda", separators, 0.25, 1.0, 1, decoders, 0.5)
    cores = cores_per_node()
    threads = min(MOST_THREADS, cores)
    most = max(1, cpus // threads)
    # At most half of the cores are booked by separators, a thirty-second by decoders: decoding is the smaller part of
    # the work, and the separators' threads use what the bookings leave. No booking is more than half of a node: it has
    # to fit into one, beside a decoder, however few separators there are for all the nodes.
    booked = 0.5 * min(cores, cpus / (workers or most))
    separators = _worth(workers or most, units, there=workers or max(1, cpus_there // threads))
    return Placement("cpu", separators, booked, 0.0, threads, max(1, cpus // 8), 0.25)


def most_of(resource: str) -> tuple[int, int]:
    """How much of a resource the cluster has once it is as large as it may be, and how much it has now."""
    import ray

    there = int(ray.cluster_resources().get(resource, 0))
    return max(there, _told(CLUSTER_MAXIMUM[resource])), there


def _told(name: str) -> int:
    """A whole number of the environment; 0 where it says none."""
    told = os.environ.get(name, "0")
    if not told.isdecimal():
        raise ClusterError(f"{name} is {told!r}; give a whole number, or leave it out")
    return int(told)


def _worth(most: int, units: int | None, there: int) -> int:
    """How many separators the work is worth, of at most `most`; those for which the nodes are `there` cost nothing."""
    if units is None:
        return most
    return max(1, min(most, units, max(there, units // UNITS_WORTH_A_NODE)))


def check_output(out_uri: str) -> None:
    """Raises ClusterError when OUT is a path that some nodes of the cluster do not see: what they wrote would be lost.

    OUT must hold its `dataset.json` already.
    """
    signature = place(out_uri) / SIGNATURE_FILE
    if not signature.is_local:
        return
    answers = _ask_nodes(os.path.exists, signature.path)
    blind = [address for address, seen in answers.items() if not seen]
    if blind:
        raise ClusterError(
            f"--out {out_uri} is a local path that {len(blind)} of {len(answers)} nodes do not see (first: "
            f"{blind[0]}); give a shared path, or a URL such as s3://bucket/out"
        )


def check_folder(path: str, option: str) -> None:
    """Raises ClusterError when some nodes of the cluster do not see a folder that is read there."""
    answers = _ask_nodes(os.path.isdir, path)
    blind = [address for address, seen in answers.items() if not seen]
    if blind:
        raise ClusterError(
            f"{option} {path} is a folder that {len(blind)} of {len(answers)} nodes do not see (first: {blind[0]}); "
            "put it on a path that all of them share"
        )


def check_model(name_or_path: str, signature: str) -> None:
    """Raises ClusterError when some nodes of the cluster have no such model, or another one of that name."""
    answers = _ask_nodes(_signature_here, name_or_path)
    others = {address: found for address, found in answers.items() if found != signature}
    if others:
        address, found = next(iter(others.items()))
        raise ClusterError(
            f"--model {name_or_path} is {signature} here, but not on {len(others)} of {len(answers)} nodes (first: "
            f"{address}: {found}); put the same file there, or SOUNDQUARRY_MODELS on a folder that all of them see"
        )


def _signature_here(name_or_path: str) -> str:
    from model.registry import model_signature

    try:
        return model_signature(name_or_path)
    except (OSError, ValueError) as error:
        return str(error)


def _ask_nodes(question: Callable[[str], Any], argument: str) -> dict[str, Any]:
    """What a function says on every node, by its address; nothing where there is only one node. A node that is lost, or
    does not answer in time, is left out: what would have run there runs elsewhere."""
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    if len(nodes) < 2:
        return {}
    remote = ray.remote(num_cpus=0, max_retries=0)(question)
    asked = {
        f"{node['NodeManagerAddress']} {node['NodeID'][:6]}": remote.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(argument)
        for node in nodes
    }
    gives_up, answers = time.monotonic() + ANSWER_SECONDS, {}
    for address, answer in asked.items():
        with contextlib.suppress(RayError):  # lost with its node; GetTimeoutError is one, too
            answers[address] = ray.get(answer, timeout=max(0.0, gives_up - time.monotonic()))
    return answers


def cores_per_node() -> int:
    """Cores of the smallest node, those yet to come included; one where nobody knows."""
    import ray

    cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    return min((count for count in (*cores, _told(NODE_CORES)) if count), default=1)  # a head that only leads has none
