"""Where a run is to join a cluster that is not there, that is said at once."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import serving
from typer.testing import CliRunner

from workflows.cli import app
from workflows.cluster import ray_cluster
from workflows.cluster_address import wrong_cluster


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address that is taken, and at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize(
    "address", ["nonsense", "http://HOST:8265", "host:port", "host:99999", "a b:6379", ":6379", "host:", "http://"]
)
def test_an_address_of_another_kind_is_told_with_both_kinds(address: str) -> None:
    said = wrong_cluster(address)
    assert said.startswith(f"--address is {address!r}: a cluster is joined at HOST:6379")
    assert "http://HOST:8265, its dashboard, takes jobs" in said


def test_nobody_at_an_address_is_told_within_seconds(nobody: str) -> None:
    began = time.monotonic()
    for address in (nobody, f"ray://{nobody}", f"{'a' * 70}.invalid:6379", "a..b:6379"):
        assert wrong_cluster(address).startswith(f"no Ray cluster answers at {address} (")
    assert time.monotonic() - began < 30


def test_what_is_no_cluster_is_told_apart_from_one_that_is_there() -> None:
    import ray

    with serving({}) as server:
        said = wrong_cluster(server.url.removeprefix("http://"))
    assert "(something else does): check that its head runs" in said
    with ray_cluster():
        assert wrong_cluster(ray.get_runtime_context().gcs_address) == ""
    assert wrong_cluster("auto") == wrong_cluster("local") == ""


def test_a_run_ends_with_1_before_anything_is_written(
    nobody: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["extract", "x.wav", "--catalog", "everyday", "--out", str(tmp_path / "out")]
    for address in ("nonsense", nobody):
        done = CliRunner().invoke(app, [*asked, "--address", address])
        assert done.exit_code == 1
        assert "soundquarry submit ... --address http://HOST:8265" in done.stderr
    monkeypatch.setenv("RAY_ADDRESS", nobody)
    assert f"no Ray cluster answers at {nobody}" in CliRunner().invoke(app, asked).stderr
    assert not (tmp_path / "out").exists()
