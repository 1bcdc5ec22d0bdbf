"""Pulling a model from a real server: all its files, one file made of them, one pull at a time."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from file_server import FileServer, serving
from rich.console import Console

from model.registry import KnownFile, KnownModel, models_folder, stored_path
from workflows import fetch as fetch_module
from workflows.fetch import FetchError
from workflows.model_pull import mirror, pull, pullable
from workflows.pull_progress import PullProgress

FILES = {"/hub/a/one.bin": np.random.default_rng(1).bytes(700_000), "/hub/b/two.bin": b"two" * 1000}
MODEL = KnownModel(
    name="dual",
    about="two files",
    licence="CC0-1.0",
    sample_rate=4000,
    window_seconds=10.0,
    parameters=7,
    size_bytes=1000,
    files=tuple(
        KnownFile(path.removeprefix("/hub/"), len(content), hashlib.sha256(content).hexdigest())
        for path, content in FILES.items()
    ),
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("SOUNDQUARRY_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(fetch_module, "FIRST_PAUSE_SECONDS", 0.001)
    with serving(dict(FILES)) as running:
        monkeypatch.setenv("SOUNDQUARRY_MODELS_URL", f"{running.url}/hub/")
        yield running


def join(paths: list[Path], target: Path) -> None:
    """Makes a model of its files, as far as these tests care."""
    target.write_bytes(b"".join(path.read_bytes() for path in paths))


def pulled(keep_files: bool = False) -> tuple[Path, str]:
    said = io.StringIO()
    with PullProgress(Console(file=said, width=200)) as progress:
        path = pull(MODEL, progress, keep_files=keep_files, make=join)
    return path, said.getvalue()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_pulled_model_is_one_file_and_its_parts_are_gone(server: FileServer) -> None:
    path, said = pulled()
    assert path == stored_path(MODEL)
    assert path.read_bytes() == b"".join(FILES.values())
    assert names(models_folder()) == ["dual.lock", "dual.safetensors"]
    assert "one.bin: 0.7 of 0.7 MB" in said
    assert "MB/s" in said


def test_published_files_are_kept_where_that_is_asked_for(server: FileServer) -> None:
    pulled(keep_files=True)
    assert names(models_folder() / "dual.files") == ["one.bin", "two.bin"]


def test_a_model_that_is_here_is_not_asked_for(server: FileServer) -> None:
    pulled(keep_files=True)
    server.asked.clear()
    pulled()
    assert server.asked == []
    assert names(models_folder() / "dual.files") == ["one.bin", "two.bin"]


def test_an_interrupted_pull_goes_on_with_what_it_has(server: FileServer) -> None:
    server.statuses = []
    server.files.pop("/hub/b/two.bin")
    with pytest.raises(FetchError, match=r"two\.bin: 404"):
        pulled()
    assert not stored_path(MODEL).exists()
    server.files |= FILES
    server.asked.clear()
    pulled()
    assert server.asked == [("/hub/b/two.bin", None)]


def test_files_that_no_model_can_be_made_of_are_kept_for_another_try(server: FileServer) -> None:
    def refuse(paths: list[Path], target: Path) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"), PullProgress(Console(file=io.StringIO())) as progress:
        pull(MODEL, progress, make=refuse)
    server.asked.clear()
    pulled()
    assert server.asked == []


def pull_in_a_process(said: multiprocessing.Queue[str]) -> None:
    said.put(pulled()[1])


def test_of_two_pulls_at_once_one_fetches_and_the_other_waits(server: FileServer) -> None:
    server.release = threading.Event()
    fork = multiprocessing.get_context("fork")  # so that the child has this test's environment
    said: multiprocessing.Queue[str] = fork.Queue()
    children = [fork.Process(target=pull_in_a_process, args=(said,)) for _ in range(2)]
    for child in children:
        child.start()
    deadline = time.monotonic() + 20
    while not server.asked and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)  # the other one is waiting by now, and has asked for nothing
    assert len(server.asked) == 1
    server.release.set()
    told = [said.get(timeout=30) for _ in children]
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    assert len(server.asked) == len(FILES)
    assert sum("another pull of dual is under way" in line for line in told) == 1
    assert stored_path(MODEL).read_bytes() == b"".join(FILES.values())


@pytest.mark.parametrize("tiny_disk", ["1m"], indirect=True)
def test_a_disk_that_is_too_small_is_told_before_anything_is_asked_for(
    server: FileServer, tiny_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDQUARRY_MODELS", str(tiny_disk))
    (tiny_disk / "filling").write_bytes(bytes(500_000))
    with pytest.raises(FetchError, match=rf"no space left in {tiny_disk}: 0\.7 MB more are needed.*SOUNDQUARRY_MODELS"):
        pulled()
    assert server.asked == []


@pytest.mark.parametrize("base", ["/mnt/models", "file:///mnt/models", "ftp://host/models", "https://"])
def test_a_mirror_that_is_no_http_address_is_refused(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDQUARRY_MODELS_URL", base)
    with pytest.raises(FetchError, match=r"SOUNDQUARRY_MODELS_URL is .*models import"):
        mirror()


def test_only_models_that_do_not_come_along_are_pulled() -> None:
    assert pullable("mini") is None
    clapsep = pullable("clapsep")
    assert clapsep is not None
    assert clapsep.name == "clapsep"
    with pytest.raises(FileNotFoundError, match="did you mean clapsep"):
        pullable("clap-sep")


def test_progress_in_json_is_one_object_per_line(server: FileServer, capsys: pytest.CaptureFixture[str]) -> None:
    with PullProgress(Console(file=io.StringIO()), as_json=True) as progress:
        pull(MODEL, progress, make=join)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["file"] for line in lines if line["event"] == "fetch"] == ["one.bin", "two.bin"]
    assert lines[0]["bytes"] == lines[0]["size_bytes"] == 700_000
    assert lines[0]["mb_per_second"] > 0
