"""A real Ray head with its dashboard, started for a test on free ports, and ended with everything that it started."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PORTS = ("port", "dashboard-port", "dashboard-agent-listen-port", "ray-client-server-port", "metrics-export-port")
START_SECONDS = 180.0


@dataclass
class RayHead:
    """A head that can be killed and started again at the same address."""

    cores: int = 3
    dashboard: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="sq-ray-", dir="/tmp")))
    """Short: the sockets in it have long names, and 107 bytes to spend."""
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        with contextlib.ExitStack() as held:
            for name in PORTS:
                taken = held.enter_context(socket.socket())
                taken.bind(("127.0.0.1", 0))
                self.ports.setdefault(name, taken.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['dashboard-port']}"

    def start(self) -> None:
        """Start it, and wait until it takes jobs. Its PATH leads to the Python of the tests."""
        ray = Path(sys.executable).with_name("ray")
        command = [
            str(ray), "start", "--head", "--block", "--disable-usage-stats",
            f"--include-dashboard={str(self.dashboard).lower()}", "--dashboard-host=127.0.0.1",
            f"--temp-dir={self.folder}", f"--num-cpus={self.cores}", f"--object-store-memory={200 * 2**20}",
            *(f"--{name}={port}" for name, port in self.ports.items()),
        ]  # fmt: skip
        path = f"{ray.parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "RAY_raylet_start_wait_time_s": "120", **self.environment}
        environment.pop("PYTHONPATH", None)
        with open(self.folder / "head.log", "wb") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        gives_up = time.monotonic() + START_SECONDS
        while not self._takes_jobs():
            if self.process.poll() is not None or time.monotonic() > gives_up:
                raise RuntimeError((self.folder / "head.log").read_text())
            time.sleep(0.2)

    def kill(self) -> None:
        """Kill it and all that it started, as a node dies."""
        if self.process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            head = psutil.Process(self.process.pid)
            family = [head, *head.children(recursive=True)]
            for member in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.send_signal(signal.SIGKILL)
            psutil.wait_procs(family, timeout=10)
        self.process.wait(timeout=10)
        self.process = None

    def drivers(self) -> list[psutil.Process]:
        """The processes of jobs on it."""
        assert self.process is not None
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.cmdline()[1:4] == ["-m", "workflows.cli", "run"]:
                    found.append(process)
        return found

    def _takes_jobs(self) -> bool:
        started = "Ray runtime started" in (self.folder / "head.log").read_text()
        if not started or not self.dashboard:
            return started
        token = self.environment.get("RAY_AUTH_TOKEN")
        asked = urllib.request.Request(
            f"{self.url}/api/jobs/", headers={"Authorization": f"Bearer {token}"} if token else {}
        )
        with contextlib.suppress(OSError), urllib.request.urlopen(asked, timeout=5) as answer:
            return bool(answer.status == 200)
        return False


@contextlib.contextmanager
def ray_head(**options: object) -> Iterator[RayHead]:
    """A head for as long as the context lasts."""
    head = RayHead(**options)  # type: ignore[arg-type]
    try:
        head.start()
        yield head
    finally:
        head.kill()
        shutil.rmtree(head.folder, ignore_errors=True)
