"""Jobs on a real Ray head: submitted, followed, joined, cancelled, and ended from without. One head for all of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, get_ident
from typing import Any

import psutil
import pytest
import requests
from click.testing import Result
from command_here import command_here
from made_media import chirp, encode
from ray_head import RayHead, ray_head
from small_model import save_small

from operators.verification import verify_dataset
from workflows.jobs.job_file import JobFile, job_of
from workflows.jobs.job_service import JobError, Submitted
from workflows.jobs.on_ray.client import last_words
from workflows.jobs.on_ray.jobs import RayJobs

SOUNDQUARRY = [sys.executable, "-m", "workflows.cli"]
RATE = 4000


@pytest.fixture(scope="module")
def head() -> Iterator[RayHead]:
    with ray_head() as started:
        yield started


@pytest.fixture
def service(head: RayHead) -> RayJobs:
    return RayJobs(head.url, patience_seconds=20.0)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, a catalog with a recording, some seconds of sound, and far more than a test waits for."""
    folder = tmp_path_factory.mktemp("media")
    save_small(folder / "small.safetensors")
    encode(folder / "short.wav", chirp(RATE, 12.0, channels=1), RATE)
    encode(folder / "long.flac", chirp(RATE, 3600.0, channels=1), RATE)
    encode(folder / "bell.wav", chirp(RATE, 2.0, channels=1), RATE)
    (folder / "catalog.yaml").write_text("- a dog barking\n- {id: bell, audio: bell.wav}\n")
    return folder


def options(media: Path, out: Path, *more: str, source: str = "short.wav") -> list[str]:
    return [
        str(media / source), "--catalog", str(media / "catalog.yaml"), "--out", str(out), "--no-gate",
        "--model", str(media / "small.safetensors"), "--unit-seconds", "10", *more,
    ]  # fmt: skip


def long_job(media: Path, out: Path) -> JobFile:
    return job_of("extract", options(media, out, source="long.flac"))


def submit(head: RayHead, *arguments: str) -> Result:
    return command_here("submit", *arguments, "--address", head.url)


def eventually(found: Callable[[], object], seconds: float = 180.0) -> None:
    gives_up = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < gives_up, "it did not come to be in time"
        time.sleep(0.3)


def committed(out: Path) -> int:
    return len(list((out / "stems").rglob("*.parquet")))


def run_state(out: Path) -> str:
    (file,) = out.glob("runs/*/run.json")
    state: str = json.loads(file.read_text())["state"]
    return state


def test_a_job_is_followed_to_its_end_and_its_stems_are_there(head: RayHead, media: Path, tmp_path: Path) -> None:
    """The head has neither our code nor the catalog: both came along."""
    done = submit(head, "extract", *options(media, tmp_path / "out"), "--follow")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "4 stems with" in done.stdout
    assert "Running entrypoint" in done.stdout
    assert f"warning: out: {tmp_path}/out is a path of this machine" in done.stderr
    assert done.stderr.splitlines()[-1].endswith(" succeeded")
    assert verify_dataset(str(tmp_path / "out")).findings == []


def test_a_job_that_fails_ends_with_its_own_exit_code_and_its_own_words(
    head: RayHead, service: RayJobs, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = submit(head, "extract", *options(media, tmp_path / "out", source="gone.wav"), "--follow", "--name", "gone")
    assert done.exit_code == 2, done.stdout + done.stderr
    state = service.status("gone")
    assert (state.state, state.exit_code, state.workflow) == ("failed", 2, "extract")
    assert "gone.wav" in state.message
    assert f"gone failed: {state.message}" in done.stderr
    again = submit(head, "extract", *options(media, tmp_path / "out"), "--name", "gone")
    assert again.exit_code == 1
    assert "there is a job gone already, which has other work or has ended (failed)" in again.stderr

    fails, asked = iter([True, True]), service._client.get_job_logs

    def away_at_first(name: str) -> Any:
        if next(fails, False):
            raise requests.ConnectionError("the head is on its way back")
        return asked(name)

    monkeypatch.setattr(service._client, "get_job_logs", away_at_first)
    assert "gone.wav" in "".join(service.logs("gone", follow=True))


def test_a_head_without_our_python_says_how_to_name_one(service: RayJobs, media: Path, tmp_path: Path) -> None:
    elsewhere = RayJobs(service.address, python="/nowhere/python")
    sent = elsewhere.submit(job_of("extract", options(media, tmp_path / "out")), None, "join")
    assert service.wait(sent.name) == 1
    assert "--python /path/to/python" in service.status(sent.name).message


def test_a_name_that_is_unknown_is_an_error(head: RayHead, service: RayJobs) -> None:
    for ask in (service.status, service.cancel, lambda name: next(service.logs(name, follow=True))):
        with pytest.raises(JobError, match=f"the head at {head.url} knows no job nobody"):
            ask("nobody")


def test_two_submits_of_the_same_work_at_once_are_one_job(head: RayHead, media: Path, tmp_path: Path) -> None:
    job, both_have_looked, looked = long_job(media, tmp_path / "out"), Barrier(2), set()

    class Simultaneous(RayJobs):
        def _all(self) -> Any:
            found = super()._all()
            if get_ident() not in looked:
                looked.add(get_ident())
                both_have_looked.wait(timeout=60)
            return found

    with ThreadPoolExecutor(2) as threads:
        sent = list(threads.map(lambda _: Simultaneous(head.url).submit(job, None, "join"), range(2)))
    name = f"sq-extract-{job.work}"
    assert sorted(sent, key=lambda one: one.joined) == [Submitted(name), Submitted(name, joined=True)]
    service = RayJobs(head.url)
    assert [row.name for row in service.list() if row.is_live] == [name]
    service.cancel(name)


def test_the_reason_of_a_head_is_the_last_line_with_a_word_in_it() -> None:
    text = "Traceback (most recent call last):\n  File ...\nValueError: there is no room.\n.\n\n"
    assert last_words(text) == "ValueError: there is no room."
    assert last_words("\n.\n") == "no reason was told"


def test_the_same_work_is_joined_goes_on_after_it_was_cancelled_and_a_killed_driver_is_told_of(
    head: RayHead, service: RayJobs, media: Path, tmp_path: Path
) -> None:
    out, job = tmp_path / "out", long_job(media, tmp_path / "out")
    first = service.submit(job, None, "join")
    assert first == Submitted(f"sq-extract-{job.work}")
    assert service.submit(job, None, "join") == Submitted(first.name, joined=True)
    assert service.submit(job, "another-name", "skip") == Submitted(first.name, skipped=True)
    with pytest.raises(JobError, match=f"already runs as {first.name}"):
        service.submit(job, None, "fail")
    listed = service.list()[0]
    assert (listed.name, listed.workflow, listed.is_live) == (first.name, "extract", True)

    eventually(lambda: committed(out) > 0)
    follower = subprocess.Popen(
        [*SOUNDQUARRY, "jobs", "logs", first.name, "--follow", "--address", head.url],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job would ignore it
    )  # fmt: skip
    assert follower.stdout is not None
    assert "Runtime env is setting up" in follower.stdout.readline()
    follower.send_signal(signal.SIGINT)
    _, said = follower.communicate(timeout=60)
    assert follower.returncode == 130
    assert f"interrupted; {first.name} goes on; follow it again with `soundquarry jobs logs" in said
    assert f"stop it with `soundquarry jobs cancel {first.name} --address {head.url}`" in said
    assert service.status(first.name).state == "running"

    service.cancel(first.name)
    assert service.status(first.name).state == "stopped"
    assert service.wait(first.name) == 130
    assert run_state(out) == "interrupted"
    service.cancel(first.name)  # changes nothing

    before = committed(out)
    second = service.submit(job, None, "join")
    assert second == Submitted(f"{first.name}-2")
    eventually(lambda: committed(out) > before)

    for driver in head.drivers():
        driver.kill()
    assert service.wait(second.name) == 1
    state = service.status(second.name)
    assert (state.state, state.exit_code) == ("failed", 137)
    assert "killed on the head (signal 9), out of memory most likely" in state.message
    assert "submit the same job again to go on" in state.message
    assert [row.state for row in service.list()[:2]] == ["failed", "stopped"]


@pytest.mark.slow
def test_a_training_is_followed_to_its_model_and_the_same_command_finds_it_done(
    head: RayHead, service: RayJobs, tmp_path: Path
) -> None:
    recipe = tmp_path / "ours.yaml"
    recipe.write_text("base: supervised_debug\nabout: Ours.\nschedule: {steps: 12}\n")
    (tmp_path / "labels.txt").write_text("rain\n")
    asked = [str(recipe), "--data", "synthesis", "--held-out", str(tmp_path / "labels.txt")]
    done = submit(head, "train", *asked, "--out", str(tmp_path / "out"), "--follow", "--name", "ours")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "step 12/12" in done.stdout
    out = tmp_path / "out"
    assert all((out / name).is_file() for name in ("curves.png", "curve.jsonl", "model.safetensors"))
    asked_of = json.loads((out / "run.json").read_text())["asked"]
    assert (asked_of["held_out_labels"], asked_of["recipe"]["about"]) == (["rain"], "Ours.")
    assert service.status("ours").workflow == "train"

    again = submit(head, "train", *asked, "--out", str(out), "--follow", "--name", "again")
    assert again.exit_code == 0, again.stdout + again.stderr
    other = submit(head, "train", *asked, "--out", str(out), "--set", "seed=2", "--follow", "--name", "other")
    assert other.exit_code == 2, other.stdout + other.stderr
    assert "differs in recipe.seed" in service.status("other").message


@pytest.mark.slow
def test_a_training_that_is_cancelled_goes_on_from_its_last_state(
    head: RayHead, service: RayJobs, tmp_path: Path
) -> None:
    asked = ["supervised_debug", "--data", "synthesis", "--out", str(tmp_path / "out"), "--set", "schedule.steps=2000"]
    job = job_of("train", asked)
    first = service.submit(job, None, "join")
    assert service.submit(job, None, "join") == Submitted(first.name, joined=True)
    eventually(lambda: [*(tmp_path / "out").rglob("state.pt")])
    service.cancel(first.name)
    assert (service.status(first.name).state, service.wait(first.name)) == ("stopped", 130)
    assert not head.drivers()

    shorter = service.submit(job_of("train", [*asked, "--set", "schedule.steps=60"]), None, "join")
    assert service.wait(shorter.name) == 0, "".join(service.logs(shorter.name, follow=False))
    steps = [json.loads(line)["step"] for line in (tmp_path / "out" / "curve.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps)), "a row for every step, before the interruption and after it"
    assert steps[0] == 4


@pytest.mark.slow
def test_a_head_that_is_restarted_has_forgotten_its_jobs_and_the_follower_says_so(
    head: RayHead, service: RayJobs, media: Path, tmp_path: Path
) -> None:
    job = long_job(media, tmp_path / "out")
    sent = service.submit(job, "orphan", "join")
    eventually(lambda: committed(tmp_path / "out") > 0)
    log, drivers = service.logs(sent.name, follow=True), head.drivers()
    assert "Runtime env is setting up" in next(log)
    head.kill()
    with pytest.raises(JobError, match="the head has been silent for 1 s, and orphan may have ended with it"):
        RayJobs(head.url, patience_seconds=1.0).wait("orphan")
    head.start()
    with pytest.raises(JobError, match="was restarted and has forgotten orphan, which ended with it"):
        list(log)
    psutil.wait_procs(drivers, timeout=10)
    assert not any(driver.is_running() for driver in drivers)
    assert service.list() == []
    assert service.submit(job, "orphan", "join") == Submitted("orphan")
    eventually(lambda: service.status("orphan").state == "running")
    service.cancel("orphan")


@pytest.mark.slow
def test_a_head_that_wants_a_token_says_so_and_takes_it() -> None:
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}
    command = [*SOUNDQUARRY, "jobs", "list", "--address"]
    with ray_head(environment=token) as head:
        without = subprocess.run([*command, head.url], capture_output=True, text=True, check=False)
        with_it = subprocess.run(
            [*command, head.url], env={**os.environ, **token}, capture_output=True, text=True, check=False
        )
    assert without.returncode == 1
    assert "wants a token" in without.stderr
    assert "RAY_AUTH_TOKEN" in without.stderr
    assert with_it.returncode == 0, with_it.stderr


@pytest.mark.slow
def test_a_head_without_a_dashboard_takes_no_jobs() -> None:
    with ray_head(dashboard=False) as head:
        done = subprocess.run(
            [*SOUNDQUARRY, "jobs", "list", "--address", head.url], capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert "whether it runs with its dashboard" in " ".join(done.stderr.split())
