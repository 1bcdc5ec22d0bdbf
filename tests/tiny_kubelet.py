"""A node for a control plane without machines: pods that are bound to it run as processes of this machine.

A container's command runs with the environment, the files and the token that the pod asks for, in a mount namespace of
its own, and its log is served to the API server. Images are not looked at: programs are those of this Python's
environment. A container with neither command nor arguments (a Ray node, which KubeRay gives them) counts as running
until its pod is deleted.
"""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from control_plane import ControlPlane
from pod_root import in_root
from pod_volumes import environment, expanded, mounted
from server_api import Api, Object, RefusedError

NODE: Final = "laptop"
LOOK_SECONDS: Final = 0.2
HEARTBEAT_SECONDS: Final = 5.0
"""A node that is silent for 40 seconds is given up by the controllers, and gets no pods any more."""
ROOM: Final = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "200"}
"""What the scheduler may give away; no GPU."""
IMAGES_OWN: Final = ("soundquarry",)
"""The command of a container that gives arguments alone."""
ROOT: Final = Path(__file__).parents[1]


@dataclass
class RunningPod:
    """The pod's process, if it has a command, and its log."""

    container: str
    log: list[tuple[datetime, bytes]] = field(default_factory=list)
    """Lines, and when they came."""
    process: subprocess.Popen[bytes] | None = None
    reader: threading.Thread = field(default_factory=threading.Thread)
    told: int | None = None
    """The exit code that its status tells already."""

    def read(self) -> None:
        """Take what the process prints, until it has closed its output."""
        assert self.process is not None
        assert self.process.stdout is not None
        self.log.extend((datetime.now(UTC), line) for line in self.process.stdout)

    @property
    def is_over(self) -> bool:
        """Whether it prints nothing any more."""
        return self.process is None or (self.process.poll() is not None and not self.reader.is_alive())

    def reap(self) -> None:
        """End what the process left behind, as with a container."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.reader.join(5)

    def begin(self, command: Sequence[str], values: Mapping[str, str]) -> None:
        """Run the command."""
        pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self.process = subprocess.Popen(command, env=dict(values), start_new_session=True, **pipe)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()


@dataclass
class TinyKubelet:
    """The node `laptop`. `pods` by uid."""

    plane: ControlPlane
    port: int
    pods: dict[str, RunningPod] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    """What went wrong in here; a test that waits in vain reads it."""
    told: float = 0.0
    """When the node was last said to be ready, on the monotonic clock."""

    @property
    def api(self) -> Api:
        return self.plane.admin

    def register(self) -> None:
        """The node is there and ready for pods."""
        meta = {"name": NODE, "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"}}
        node = self.api.create({"apiVersion": "v1", "kind": "Node", "metadata": meta})
        self.api.patch(node, {"spec": {"taints": None}})  # a new node is tainted as not ready
        status = {
            "capacity": ROOM,
            "allocatable": ROOM,
            "conditions": [_ready()],
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
        }
        self.api.patch(node, {"status": status}, "/status")

    def look(self) -> None:
        """Say that the node lives, start pods that are new, tell which have ended, end those that are being deleted."""
        if time.monotonic() - self.told > HEARTBEAT_SECONDS:
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
            self.api.patch(node, {"status": {"conditions": [_ready()]}}, "/status")
            self.told = time.monotonic()
        pods = self.api.list("v1", "Pod", fieldSelector=f"spec.nodeName={NODE}")
        for pod in pods:
            with contextlib.suppress(RefusedError):  # deleted meanwhile
                self._look_after(pod)
        for uid in self.pods.keys() - {pod["metadata"]["uid"] for pod in pods}:
            self._end(self.pods.pop(uid))

    def _look_after(self, pod: Object) -> None:
        uid, phase = pod["metadata"]["uid"], pod.get("status", {}).get("phase")
        if "deletionTimestamp" in pod["metadata"]:
            if uid in self.pods:
                self._end(self.pods[uid])
            now = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
            meta = pod["metadata"]
            self.api.call("DELETE", self.api.path("v1", "Pod", meta["namespace"], meta["name"]), now)
        elif uid not in self.pods and phase == "Pending":
            self.pods[uid] = self._start(pod)
            self._tell(pod, "Running", {"running": {"startedAt": _now()}})
        elif uid in self.pods and (process := self.pods[uid].process) is not None:
            code = process.poll()
            if code is not None and self.pods[uid].told is None:
                self.pods[uid].told = code if code >= 0 else 128 - code
                ended = {
                    "exitCode": self.pods[uid].told,
                    "finishedAt": _now(),
                    "reason": "Error" if code else "Completed",
                }
                self._tell(pod, "Failed" if code else "Succeeded", {"terminated": ended})

    def _start(self, pod: Object) -> RunningPod:
        meta, container = pod["metadata"], pod["spec"]["containers"][0]
        folder = self.plane.folder / "pods" / meta["uid"]
        (folder / "root").mkdir(parents=True)
        running = RunningPod(container["name"])
        words = [*container.get("command", IMAGES_OWN if container.get("args") else []), *container.get("args", [])]
        if words:
            values = environment(self.api, pod, container)
            command = [expanded(word, values) for word in words]
            volumes = mounted(self.api, pod, container, folder / "volumes")
            address = urlsplit(self.plane.url)
            given = {
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "KUBERNETES_SERVICE_HOST": str(address.hostname),
                "KUBERNETES_SERVICE_PORT": str(address.port),
                "HOME": "/tmp",
                "HOSTNAME": meta["name"],
                "RAY_AUTH_MODE": "disabled",
            }
            workdir = container.get("workingDir", "/")
            running.begin(in_root(folder / "root", volumes, command, workdir), given | values)
        return running

    def _tell(self, pod: Object, phase: str, state: dict[str, Any]) -> None:
        container = pod["spec"]["containers"][0]
        status = {"name": container["name"], "image": container["image"], "imageID": "", "restartCount": 0}
        status |= {"ready": phase == "Running", "state": state}
        known = [one for one in pod["status"].get("conditions", []) if one["type"] == "PodScheduled"]
        ready = str(phase == "Running")
        known += [{"type": kind, "status": ready} for kind in ("Initialized", "ContainersReady", "Ready")]
        change = {"phase": phase, "podIP": "127.0.0.1", "conditions": known, "containerStatuses": [status]}
        self.api.patch(pod, {"status": change | {"startTime": _now()}}, "/status")

    def _end(self, running: RunningPod) -> None:
        if running.process is None or running.process.poll() is not None:
            return
        os.killpg(running.process.pid, signal.SIGTERM)
        try:
            running.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait()

    def end(self) -> None:
        for running in self.pods.values():
            self._end(running)


@contextmanager
def tiny_kubelet(plane: ControlPlane) -> Iterator[TinyKubelet]:
    """A node that looks after its pods until the end of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Logs)
    kubelet = TinyKubelet(plane, server.server_address[1])
    server.kubelet = kubelet  # type: ignore[attr-defined]
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(plane.certificate, plane.certificate.with_suffix(".key"))
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kubelet.register()
    with repeating(kubelet.look, kubelet.troubles):
        yield kubelet
    kubelet.end()
    server.shutdown()
    server.server_close()


@contextmanager
def repeating(look: Any, troubles: list[str]) -> Iterator[None]:
    """Calls `look` all the time, in a thread, until the end of the block; its errors are kept."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(LOOK_SECONDS):
            try:
                look()
            except Exception as error:
                if (trouble := f"{type(error).__name__}: {error}") not in troubles:
                    troubles.append(trouble)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class _Logs(BaseHTTPRequestHandler):
    """`/containerLogs/NAMESPACE/POD/CONTAINER`, as the API server asks for it."""

    def do_GET(self) -> None:
        kubelet: TinyKubelet = self.server.kubelet  # type: ignore[attr-defined]
        asked = urlsplit(self.path)
        _, _, space, name, container = asked.path.split("/")
        uid = kubelet.api.get("v1", "Pod", name, space)["metadata"]["uid"]
        running = kubelet.pods.get(uid)
        if running is None or running.container != container:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        options = {key: values[0] for key, values in parse_qs(asked.query).items()}
        since = datetime.now(UTC) - timedelta(seconds=int(options.get("sinceSeconds", 10**6)))
        sent = 0
        while True:
            over = running.is_over
            for when, line in running.log[sent:]:
                sent += 1
                if when >= since:
                    stamp = f"{when:%Y-%m-%dT%H:%M:%S.%f}000Z " if options.get("timestamps") == "true" else ""
                    self.wfile.write(stamp.encode() + line)
            self.wfile.flush()
            if over or options.get("follow") != "true":
                return None
            time.sleep(LOOK_SECONDS)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _ready() -> dict[str, str]:
    return {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": _now()}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
