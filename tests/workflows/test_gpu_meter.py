"""The GPU time of a run, on GPUs that Ray counts and nobody has: separators hold them and compute on the CPU."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from command_here import command_here
from made_media import chirp, encode

from operators.attempts import AttemptLedger
from operators.settings import ExtractSettings
from operators.verification import verify_dataset
from workflows import cluster, gpu_meter
from workflows import extract as extraction
from workflows.cluster import ClusterError, Placement, placement
from workflows.extract import ExtractJob, extract
from workflows.gpu_meter import GpuMeter
from workflows.progress import Tally

SOURCES = 10
TWO_GPUS = Placement("cuda", 2, 0.25, 1.0, 1, 1, 0.5)
NO_GPU = Placement("cpu", 1, 1.0, 0.0, 1, 1, 0.25)


class Watched:
    """A progress that keeps the receipts."""

    def __init__(self) -> None:
        self.receipts: list[Mapping[str, Any]] = []

    def start(self, tally: Tally) -> None: ...

    def advance(self, tally: Tally, receipt: Mapping[str, Any]) -> None:
        self.receipts.append(receipt)

    def end(self, tally: Tally, summary: Mapping[str, Any]) -> None: ...

    def give_up(self) -> None: ...


@pytest.fixture(scope="module")
def two_gpus() -> Iterator[None]:
    import ray

    ray.init(
        address="local", num_cpus=4, num_gpus=2, include_dashboard=False, object_store_memory=cluster.LOCAL_STORE_BYTES,
        log_to_driver=False, runtime_env={"env_vars": cluster.worker_environment()},
    )  # fmt: skip
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for number in range(SOURCES):
        encode(folder / f"{number}.wav", chirp(16_000, 24.0 + number, channels=1), 16_000)
    (folder / "catalog.yaml").write_text("- a dog barking\n- rain\n")
    return folder


@pytest.mark.usefixtures("two_gpus")
def test_what_separators_hold_is_counted_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setattr(gpu_meter, "SAMPLE_SECONDS", 0.1)

    class Separator:
        def here(self) -> bool:
            return True

    meter, began = GpuMeter(), time.monotonic()
    with meter.running(TWO_GPUS, lambda: None):
        time.sleep(0.5)
        assert meter.seconds == 0.0
        actor = ray.remote(num_cpus=0, num_gpus=1)(Separator).remote()
        assert ray.get(actor.here.remote())
        time.sleep(1.5)
    assert 0.5 < meter.seconds < time.monotonic() - began - 0.4
    ray.kill(actor)


def test_a_cluster_that_does_not_always_answer_does_not_end_the_counting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import ray

    def unsteady(then: Any) -> Any:
        fails = iter([False, True, True])

        def answer() -> Any:
            if next(fails, False):
                raise RuntimeError("RPC error: deadline exceeded")
            return then()

        return answer

    called: list[float] = []
    monkeypatch.setattr(gpu_meter, "SAMPLE_SECONDS", 0.02)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"GPU": 2.0})
    monkeypatch.setattr(ray, "available_resources", unsteady(dict))
    tally = Tally()
    meter = GpuMeter(0.2 / 3600, tally)
    with meter.running(TWO_GPUS, lambda: called.append(tally.gpu_seconds)):
        gives_up = time.monotonic() + 20
        while not meter.is_spent:
            assert time.monotonic() < gives_up
        time.sleep(0.1)
    assert len(called) == 1
    assert 0.2 <= called[0] < meter.seconds == tally.gpu_seconds
    assert capsys.readouterr().err.count("does not say what its GPUs do (RuntimeError: RPC error") == 1


def test_what_cannot_be_called_off_is_not_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        tries.append(meter.is_spent)
        raise RuntimeError("the ledger is on its way back")

    tries: list[bool] = []
    monkeypatch.setattr(gpu_meter, "SAMPLE_SECONDS", 0.01)
    monkeypatch.setattr(gpu_meter, "_held", lambda wanted: 3600.0)
    meter = GpuMeter(0.001)
    with meter.running(TWO_GPUS, fails):
        time.sleep(0.5)
    assert len(tries) > 1
    assert not any(tries)
    assert not meter.is_spent


def test_a_limit_that_would_never_be_reached_is_refused() -> None:
    with pytest.raises(ClusterError, match=r"--max-gpu-hours 2, but this run has no GPU"):
        GpuMeter(2.0).running(NO_GPU, lambda: None).__enter__()
    with GpuMeter().running(NO_GPU, lambda: None):
        pass


def test_units_that_have_begun_are_waited_for_and_no_others() -> None:
    attempts, meter = AttemptLedger(), GpuMeter(1.0)
    begun = {name: attempts.begin_unit(name) for name in "abc"}

    def receipts() -> Iterator[dict[str, Any]]:
        yield {"unit_id": "a", "begun": begun["a"]}
        attempts.call_off()
        meter.is_spent = True
        for name in "dbec":
            yield {"unit_id": name, "begun": begun.get(name) or attempts.begin_unit(name)}
        raise AssertionError("asked for more than has begun")

    assert [receipt["unit_id"] for receipt in meter.receipts(receipts(), attempts)] == ["a", "b", "c"]
    assert attempts.begin_unit("c") == 2  # its worker was lost: it is finished all the same


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.timeout(600)
def test_a_run_whose_hours_are_spent_finishes_what_it_began_and_the_next_one_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress, out = Watched(), tmp_path / "out"
    monkeypatch.setattr(extraction, "placement", lambda *asked: replace(placement(*asked), device="cpu"))
    monkeypatch.setattr(gpu_meter, "SAMPLE_SECONDS", 0.02)
    monkeypatch.setattr(gpu_meter, "_held", lambda wanted: 3e6 if len(progress.receipts) >= 2 else 0.0)
    job = ExtractJob(
        (str(folder),), str(folder / "catalog.yaml"), str(out), ExtractSettings(gate=False), device="cuda",
        max_gpu_hours=10.0,
    )  # fmt: skip
    first = extract(job, progress)
    assert first.stopped == "max_gpu_hours"
    assert first.gpu_seconds > 36_000
    assert (first.lost, first.left + first.units) == (0, SOURCES)
    assert 2 <= first.units < SOURCES - 2
    assert len(list(out.glob("stems/*/*.parquet"))) == first.units == len(progress.receipts)
    (record,) = out.glob("runs/*/run.json")
    assert json.loads(record.read_text())["stopped"] == "max_gpu_hours"
    assert json.loads(record.read_text())["state"] == "done"
    assert [finding.kind for finding in verify_dataset(str(out)).findings] == ["member_missing"]

    monkeypatch.undo()
    monkeypatch.setattr(extraction, "placement", lambda *asked: replace(placement(*asked), device="cpu"))
    second = extract(job, Watched())
    assert (second.stopped, second.left, second.units) == (None, 0, first.left)
    assert 0 < second.gpu_seconds < 2 * second.wall_seconds
    assert verify_dataset(str(out)).findings == []
    assert len(pq.read_table(out / "sources.parquet")) == SOURCES


@pytest.mark.parametrize("options", [["--max-gpu-hours", "0"], ["--max-gpu-hours", "1", "--device", "cpu"]])
@pytest.mark.parametrize("command", ["extract", "mine"])
def test_hours_that_make_no_sense_are_wrong_use(command: str, options: list[str], tmp_path: Path) -> None:
    done = command_here(command, "x.wav", "--catalog", "everyday", "--out", str(tmp_path / "out"), *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "give hours above 0, on a GPU" in done.stderr
