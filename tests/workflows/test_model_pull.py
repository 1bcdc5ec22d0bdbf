"""Pulling a model from a real server: all its files, one file made of them, one pull at a time."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from file_server import FileServer, serving
from published_pair import pair_of
from rich.console import Console
from safetensors.numpy import load_file, save_file
from small_clapsep import SMALL_CLAPSEP, small_clapsep
from small_towers import SMALL, small_tokenizer, small_towers

from model import published
from model.clapsep import CLAPSep
from model.digest import sha256_of
from model.laion_towers import LaionClap
from model.registry import KnownFile, KnownModel, models_folder, stored_path
from model.roberta_tokenizer import RobertaTokenizer
from workflows import fetch as fetch_module
from workflows import model_import
from workflows.fetch import FetchError
from workflows.model_pull import mirror, pull, pullable
from workflows.model_store import part_folder, stored
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
        KnownFile(role, path.removeprefix("/hub/"), len(content), hashlib.sha256(content).hexdigest())
        for role, (path, content) in zip(("first", "second"), FILES.items(), strict=True)
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


def join(files: Mapping[str, Path], target: Path) -> None:
    """Makes a model of its files, as far as these tests care."""
    made_of = {role: sha256_of(path) for role, path in files.items()}
    header = json.dumps({"format": 2, "provenance": {"made_of": made_of}})
    tensors = {role: np.frombuffer(path.read_bytes(), np.uint8) for role, path in files.items()}
    save_file(tensors, target, metadata={"soundquarry": header})


def is_whole(path: Path) -> bool:
    """Whether a file holds what `join` makes of both."""
    tensors = load_file(path)
    return [tensors[file.role].tobytes() for file in MODEL.files] == list(FILES.values())


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
    assert is_whole(path)
    assert names(models_folder()) == ["dual.lock", "dual.safetensors"]
    assert "one.bin: 0.7 of 0.7 MB" in said
    assert "MB/s" in said


def test_published_files_are_kept_where_that_is_asked_for(server: FileServer) -> None:
    pulled(keep_files=True)
    assert names(models_folder() / "dual.files") == ["one.bin", "two.bin"]


def test_a_model_that_is_here_is_not_asked_for(server: FileServer) -> None:
    pulled(keep_files=True)
    server.asked.clear()
    pulled(keep_files=True)
    assert server.asked == []
    assert names(models_folder() / "dual.files") == ["one.bin", "two.bin"]


def test_what_earlier_pulls_left_goes_once_the_model_is_here(server: FileServer) -> None:
    path, _ = pulled(keep_files=True)
    part_folder(path).mkdir()
    (part_folder(path) / "half").write_bytes(bytes(1000))
    pulled()
    assert names(models_folder()) == ["dual.lock", "dual.safetensors"]


def test_a_damaged_model_is_fetched_again(server: FileServer) -> None:
    path, _ = pulled()
    path.write_bytes(path.read_bytes()[:-1])
    _, said = pulled()
    assert "is damaged, and is fetched again" in said
    assert is_whole(path)


def test_other_weights_under_the_name_of_a_model_are_neither_taken_for_it_nor_lost(server: FileServer) -> None:
    path, _ = pulled()
    other = path.with_name("other.bin")
    other.write_bytes(b"other")
    join({"first": other, "second": other}, path)
    with pytest.raises(FetchError, match="does not hold the published weights; move it away"):
        pulled()
    assert load_file(path)["first"].tobytes() == b"other"


def test_a_model_that_is_here_can_be_pulled_where_nothing_can_be_written(server: FileServer) -> None:
    path, _ = pulled()
    models_folder().joinpath("dual.lock").unlink()
    stored_at = path.stat().st_mtime_ns
    models_folder().joinpath("dual.lock").mkdir()  # cannot be opened as a lock, by nobody
    assert pulled()[0].stat().st_mtime_ns == stored_at
    path.unlink()
    with pytest.raises(OSError, match=r"dual\.lock cannot be written or locked \(Is a directory\).*SOUNDQUARRY_MODELS"):
        pulled()


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
    def refuse(files: Mapping[str, Path], target: Path) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"), PullProgress(Console(file=io.StringIO())) as progress:
        pull(MODEL, progress, make=refuse)
    server.asked.clear()
    pulled()
    assert server.asked == []


class Told(io.StringIO):
    """Lines go to a queue as they are written."""

    def __init__(self, queue: multiprocessing.Queue[str]) -> None:
        super().__init__()
        self.queue = queue

    def write(self, text: str) -> int:
        self.queue.put(text)
        return len(text)


def pull_in_a_process(queue: multiprocessing.Queue[str]) -> None:
    with PullProgress(Console(file=Told(queue), width=200)) as progress:
        pull(MODEL, progress, make=join)
    queue.put("ended")


def test_of_two_pulls_at_once_one_fetches_and_the_other_waits(server: FileServer) -> None:
    server.release = threading.Event()
    fork = multiprocessing.get_context("fork")  # so that the child has this test's environment
    queue: multiprocessing.Queue[str] = fork.Queue()
    children = [fork.Process(target=pull_in_a_process, args=(queue,)) for _ in range(2)]
    for child in children:
        child.start()
    while "another pull of dual is under way" not in queue.get(timeout=30):
        pass  # the one that has the lock waits for the server, so nobody else can say so
    server.release.set()
    told = []
    while told.count("ended") < 2:
        told.append(queue.get(timeout=30))
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    assert len(server.asked) == len(FILES)
    assert not any("another pull" in line for line in told)
    assert is_whole(stored_path(MODEL))


def test_clapsep_is_made_of_each_file_in_its_role(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = pair_of(tmp_path, small_clapsep().state_dict(), small_towers().state_dict()).write()
    tokenizer = tmp_path / "t.json"
    tokenizer.write_text(small_tokenizer(), encoding="utf-8")
    paths = {"tokenizer": tokenizer, "clap": pair.clap, "checkpoint": pair.checkpoint}  # in another order
    known = {role: KnownFile(role, path.name, path.stat().st_size, sha256_of(path)) for role, path in paths.items()}
    server.files |= {f"/hub/{path.name}": path.read_bytes() for path in paths.values()}
    monkeypatch.setattr(published, "CLAPSEP_CHECKPOINT", known["checkpoint"])
    monkeypatch.setattr(published, "CLAPSEP_CLAP", known["clap"])
    ids = RobertaTokenizer(small_tokenizer(), SMALL.vocabulary)([model_import.PROBE])[0]
    monkeypatch.setattr(model_import, "PROBE_IDS", ids)
    monkeypatch.setattr(
        model_import, "published_networks", lambda text: (CLAPSep(SMALL_CLAPSEP), LaionClap(SMALL, text))
    )
    model = replace(MODEL, name="small", files=tuple(known.values()))
    with PullProgress(Console(file=io.StringIO())) as progress:
        path = pull(model, progress)
    assert stored(model).published
    assert len(load_file(path)) > 100
    assert names(models_folder()) == ["small.lock", "small.safetensors"]


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
