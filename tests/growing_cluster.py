"""A Ray cluster that starts its nodes when asked: Ray's own autoscaler, its nodes processes of this machine.

`ray.cluster_utils.AutoscalingCluster` is not used: it ends every Ray of the machine, before and after.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

STARTS_WITHIN_SECONDS = 60.0


@contextlib.contextmanager
def growing_cluster(folder: Path, worker: dict[str, float], most: int) -> Iterator[str]:
    """The address of a cluster whose head only leads, and that starts up to `most` nodes with the resources of
    `worker`; `folder` is for its files and has a short name, because sockets lie there."""
    import ray
    from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID

    host, port = ray.util.get_node_ip_address(), _free_port()
    head: dict[str, Any] = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
    node = {"resources": worker, "node_config": {}, "min_workers": 0, "max_workers": most}
    provider = {
        # By its class: what Ray's wheel needs to know it by name is not in the wheel.
        "type": "external", "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
        "use_node_id_as_ip": True, "disable_node_updaters": True,
        "disable_launch_config_check": True, "launch_multiple": True, "head_node_id": FAKE_HEAD_NODE_ID,
        "gcs_address": f"{host}:{port}",
    }  # fmt: skip
    config = {
        "cluster_name": "growing", "max_workers": most, "provider": provider, "idle_timeout_minutes": 1,
        "available_node_types": {"ray.head.default": head, "worker": node}, "head_node_type": "ray.head.default",
        "upscaling_speed": 1.0, "auth": {}, "docker": {}, "file_mounts": {}, "cluster_synced_files": [],
        "file_mounts_sync_continuously": False, "rsync_exclude": [], "rsync_filter": [],
        "initialization_commands": [], "setup_commands": [], "head_setup_commands": [], "worker_setup_commands": [],
        "head_start_ray_commands": [], "worker_start_ray_commands": [],
    }  # fmt: skip
    (folder / "cluster.json").write_text(json.dumps(config))
    command = [
        str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", f"--port={port}", "--num-cpus=0",
        "--num-gpus=0", f"--autoscaling-config={folder / 'cluster.json'}", f"--temp-dir={folder}",
        "--include-dashboard=false", f"--object-store-memory={200 * 2**20}", "--min-worker-port=0",
        "--max-worker-port=0", "--disable-usage-stats",
    ]  # fmt: skip
    environment = {
        "AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_FAKE_CLUSTER": "1", "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID, "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
    }  # fmt: skip
    with (folder / "head.log").open("w") as log:
        leader = subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_for(leader, folder / "head.log")
        yield f"{host}:{port}"
    finally:
        _end(leader)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(leader: subprocess.Popen[bytes], log: Path) -> None:
    began = time.monotonic()
    while "Ray runtime started" not in log.read_text():
        assert leader.poll() is None, log.read_text()
        assert time.monotonic() - began < STARTS_WITHIN_SECONDS, log.read_text()
        time.sleep(0.2)


def _end(leader: subprocess.Popen[bytes]) -> None:
    """Ends the processes that this cluster started, and no others."""
    family = psutil.Process(leader.pid).children(recursive=True)
    leader.terminate()
    _, alive = psutil.wait_procs([psutil.Process(leader.pid), *family], timeout=10)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    leader.wait(timeout=10)
