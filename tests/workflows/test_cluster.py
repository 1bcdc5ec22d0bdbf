"""How a cluster is shared between the stages: one that is there, one that grows, one that loses a node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from growing_cluster import growing_cluster
from made_media import chirp, encode

from operators.verification import verify_dataset
from workflows import cluster
from workflows.cluster import ClusterError, placement

Cluster = Callable[..., None]


@pytest.fixture
def cluster_of(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Lets a cluster look as if it had these resources; nothing of it is run."""

    def set_resources(nodes: list[dict[str, float]], **maximum: str) -> None:
        import ray

        total: Counter[str] = Counter()
        for node in nodes:
            total.update(node)
        monkeypatch.setattr(ray, "cluster_resources", lambda: dict(total))
        monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": node} for node in nodes])
        monkeypatch.delenv("SOUNDQUARRY_NODE_CPUS", raising=False)
        for name in ("CPU", "GPU"):
            monkeypatch.delenv(f"SOUNDQUARRY_MAX_{name}S", raising=False)
        for name, value in maximum.items():
            monkeypatch.setenv(f"SOUNDQUARRY_MAX_{name}", value)

    return set_resources


def test_a_cluster_that_is_there_starts_all_that_the_units_can_use(cluster_of: Cluster) -> None:
    cluster_of([{"CPU": 16.0, "GPU": 4.0}, {"CPU": 16.0, "GPU": 4.0}])
    assert (placement("auto").device, placement("auto").separators) == ("cuda", 8)
    assert [placement("cuda", None, units).separators for units in (1, 3, 8, 900)] == [1, 3, 8, 8]
    assert [placement("cuda", None, units).decoders for units in (1, 9, 900)] == [1, 9, 31]
    assert placement("cuda", 2, 900).separators == 2
    assert placement("cuda", 99, 900).separators == 8


def test_a_cluster_that_grows_is_asked_for_as_many_nodes_as_the_work_is_worth(cluster_of: Cluster) -> None:
    cluster_of([{}], GPUS="8", CPUS="72")
    assert (placement("auto").device, placement("auto").separators) == ("cuda", 8)
    assert [placement("cuda", None, units).separators for units in (1, 19, 20, 45, 900)] == [1, 1, 2, 4, 8]
    assert placement("cuda", None, 900).decoders == 32
    cluster_of([{}, {"CPU": 8.0, "GPU": 1.0}, {"CPU": 8.0, "GPU": 1.0}], GPUS="8", CPUS="72")
    assert [placement("cuda", None, units).separators for units in (1, 2, 20, 30)] == [1, 2, 2, 3]
    assert placement("cuda", 5, 20).separators == 5  # somebody knows better


def test_a_head_that_only_leads_does_not_count_as_a_small_node(cluster_of: Cluster) -> None:
    cluster_of([{}, {"CPU": 8.0}, {"CPU": 8.0}])
    where = placement("auto", None, 100)
    assert (where.device, where.threads, where.separators, where.separator_cpus) == ("cpu", 8, 2, 4.0)
    assert placement("cpu", None, 1).separators == 1


@pytest.mark.parametrize(("nodes", "cores"), [(1, 1), (1, 16), (3, 2), (4, 16), (10, 8)])
@pytest.mark.parametrize("workers", [1, 2, 4, 40, None])
def test_every_separator_fits_into_a_node_beside_the_decoders(
    cluster_of: Cluster, nodes: int, cores: int, workers: int | None
) -> None:
    cluster_of([{"CPU": float(cores)}] * nodes)
    where = placement("cpu", workers, 1000)
    assert where.separators == (workers or nodes * -(-cores // 8))
    assert where.separator_cpus <= cores / 2
    free = [float(cores)] * nodes
    for booked in [where.decoder_cpus] * where.decoders + [where.separator_cpus] * where.separators:
        roomiest = free.index(max(free))
        assert free[roomiest] >= booked
        free[roomiest] -= booked


def test_of_nodes_of_several_sizes_the_smallest_decides_what_is_booked(cluster_of: Cluster) -> None:
    cluster_of([{}, {"CPU": 4.0}, {"CPU": 16.0}])
    assert [placement("cpu", workers, 1000).separator_cpus for workers in (1, 5, 20)] == [2.0, 2.0, 0.5]


def test_sizes_do_not_depend_on_which_nodes_are_there_already(
    cluster_of: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for there in ([{}], [{}, {"CPU": 4.0}], [{}, *[{"CPU": 4.0}] * 4]):
        cluster_of(there, CPUS="16")
        monkeypatch.setenv("SOUNDQUARRY_NODE_CPUS", "4")
        sizes = [placement("cpu", workers, 400) for workers in (None, 1, 3)]
        found.append([(where.separators, where.separator_cpus, where.threads) for where in sizes])
    assert found[0] == [(4, 2.0, 4), (1, 2.0, 4), (3, 2.0, 4)]
    assert found[0] == found[1] == found[2]
    monkeypatch.setenv("SOUNDQUARRY_NODE_CPUS", "four")
    with pytest.raises(ClusterError, match="SOUNDQUARRY_NODE_CPUS is 'four'"):
        placement("cpu")


def test_what_a_cluster_lacks_is_said(cluster_of: Cluster) -> None:
    cluster_of([{"CPU": 8.0}])
    with pytest.raises(ClusterError, match="SOUNDQUARRY_MAX_GPUS tells how many"):
        placement("cuda")
    cluster_of([{}])
    with pytest.raises(ClusterError, match="no CPU for decoding"):
        placement("auto")
    cluster_of([{"CPU": 8.0}], GPUS="many")
    with pytest.raises(ClusterError, match="SOUNDQUARRY_MAX_GPUS is 'many'"):
        placement("auto")


def test_a_node_that_is_lost_while_it_is_asked_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    with cluster.ray_cluster():
        (here,) = ray.nodes()
        monkeypatch.setattr(ray, "nodes", lambda: [here | {"NodeID": "ab" * 28}, here])
        answers = cluster._ask_nodes(os.path.exists, "/")
    assert answers == {f"{here['NodeManagerAddress']} {here['NodeID'][:6]}": True}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for number in range(16):
        encode(folder / f"{number:02}.wav", chirp(16_000, 40.0 + number, channels=1), 16_000)
    (folder / "catalog.yaml").write_text("- a dog barking\n- rain\n")
    return folder


def start(archive: Path, out: Path, address: str, *options: str) -> subprocess.Popen[str]:
    """A run on the cluster at `address`."""
    command = [
        sys.executable, "-m", "workflows.cli", "extract", str(archive), "--catalog", str(archive / "catalog.yaml"),
        "--out", str(out), "--no-gate", "--json", "--address", address, *options,
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def lines_of(run: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert run.stdout is not None
    yield from (json.loads(line) for line in run.stdout)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_node_that_is_lost_costs_at_most_the_units_in_flight(archive: Path, tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    out = tmp_path / "out"
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 300 * 2**20})
    try:
        stable, spot = (nodes.add_node(num_cpus=2, object_store_memory=300 * 2**20) for _ in range(2))
        nodes.wait_for_nodes()
        run = start(archive, out, nodes.address, "--device", "cpu", "--workers", "2")
        done: dict[str, Any] = {}
        units = 0
        for line in lines_of(run):
            units += line["event"] == "unit"
            if units == 4 and spot is not None:
                nodes.remove_node(spot, allow_graceful=False)
                spot = None
            if line["event"] == "done":
                done = line
        assert run.wait(timeout=60) == 0, run.stderr and run.stderr.read()
        assert spot is None
        assert stable in nodes.list_all_nodes()
    finally:
        nodes.shutdown()
    assert (done["units"], done["lost"], done["failures"]) == (16, 0, {})
    assert done["begun_again"] <= 2  # one in each of the separators
    assert [finding for finding in verify_dataset(str(out)).findings if not finding.harmless] == []
    assert set(pq.read_table(out / "sources.parquet")["status"].to_pylist()) == {"ok"}


@pytest.fixture
def short_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sq") as folder:
        yield Path(folder)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("workers", "nodes"), [((), 1), (("--workers", "2"), 2)], ids=["small", "told"])
def test_a_cluster_that_grows_from_nothing_starts_as_many_nodes_as_separators(
    archive: Path, tmp_path: Path, short_folder: Path, monkeypatch: pytest.MonkeyPatch, workers: Any, nodes: int
) -> None:
    monkeypatch.setenv("SOUNDQUARRY_MAX_CPUS", "4")
    monkeypatch.setenv("SOUNDQUARRY_NODE_CPUS", "2")
    with growing_cluster(short_folder, {"CPU": 2}, most=4) as address:
        run = start(archive, tmp_path / "out", address, "--device", "cpu", *workers)
        most, lines = 0, []
        for line in lines_of(run):
            lines.append(line)
            if line["event"] == "unit":
                most = max(most, _worker_nodes(address))
        assert run.wait(timeout=60) == 0, run.stderr and run.stderr.read()
    assert (lines[-1]["units"], lines[-1]["lost"], most) == (16, 0, nodes)
    assert verify_dataset(str(tmp_path / "out")).findings == []


def _worker_nodes(address: str) -> int:
    """Nodes of the cluster that offer a CPU, asked for by a process of its own."""
    script = f"import ray; ray.init({address!r}, log_to_driver=False, logging_level=40);"
    script += "print(sum(bool(n['Alive'] and n['Resources'].get('CPU')) for n in ray.nodes()))"
    asked = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return int(asked.stdout.split()[0])
