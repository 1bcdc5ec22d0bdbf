"""Real Prometheus and its real Pushgateway, for as long as a test needs them."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tools import tool

PATIENCE_SECONDS = 30.0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def eventually(look: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """The first true answer of `look`; fails by name when there is none in time."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        with contextlib.suppress(OSError):
            found = look()
            if found:
                return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds:g} s")


@contextlib.contextmanager
def _program(command: list[str], ready: str, folder: Path) -> Iterator[None]:
    with (folder / f"{Path(command[0]).name}.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            eventually(lambda: read(ready), f"{Path(command[0]).name} is ready")
            yield
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def pushgateway(folder: Path) -> Iterator[str]:
    """The address of a gateway that has been told nothing yet."""
    address = f"127.0.0.1:{free_port()}"
    command = [tool("prometheus-pushgateway"), f"--web.listen-address={address}"]
    with _program(command, f"http://{address}/-/ready", folder):
        yield f"http://{address}"


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus, asked by its HTTP API."""

    address: str

    def ask(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """The series of an instant query; a wrong expression is an error with Prometheus' own words."""
        given = {"query": expression} | ({"time": f"{at:.3f}"} if at else {})
        try:
            answer = json.loads(read(f"{self.address}/api/v1/query?{urllib.parse.urlencode(given)}"))
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from error
        result = answer["data"]["result"]
        if answer["data"]["resultType"] == "scalar":
            return [{"metric": {}, "value": result}]
        series: list[dict[str, Any]] = result
        return series

    def value(self, expression: str, at: float | None = None) -> float | None:
        """The value of the one series that the expression gives, None where it gives none."""
        found = self.ask(expression, at)
        assert len(found) <= 1, f"{expression}: {found}"
        return float(found[0]["value"][1]) if found else None


@contextlib.contextmanager
def prometheus(folder: Path, scrape: list[dict[str, Any]]) -> Iterator[Prometheus]:
    """Scrapes every two seconds what `scrape` (entries of `scrape_configs`) says."""
    settings = {"global": {"scrape_interval": "2s", "scrape_timeout": "2s"}, "scrape_configs": scrape}
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(settings))
    address = f"127.0.0.1:{free_port()}"
    command = [
        tool("prometheus"), "--config.file=prometheus.yaml", "--storage.tsdb.path=series",
        f"--web.listen-address={address}",
    ]  # fmt: skip
    with _program(command, f"http://{address}/-/ready", folder):
        yield Prometheus(f"http://{address}")


def scraped(job: str, *addresses: str, **labels: str) -> dict[str, Any]:
    """An entry of `scrape_configs`; what a target says of its own job and instance counts."""
    return {"job_name": job, "honor_labels": True, "static_configs": [{"targets": list(addresses), "labels": labels}]}
