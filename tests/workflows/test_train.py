"""`soundquarry train` on Ray: what comes out, and that a kill in the middle changes nothing of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from ray_head import ray_head

from model.registry import load_model
from model.separator import Condition
from model.synthesis import SYNTHESIS_CAPTIONS

ROOT = Path(__file__).parents[2]
STEPS = 12
HEARD = {"dog", "helicopter", "rain", "flute", "clock_tick", "doorbell"}
TIMED = ("seconds_per_step", "waiting")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def command(out: Path, *more: str) -> list[str]:
    quick = [f"schedule.steps={STEPS}", "schedule.save_every=2", "schedule.log_every=2", "schedule.validate_every=6"]
    settings = [word for setting in quick for word in ("--set", setting)]
    held_out = out.parent / "held_out.txt"
    held_out.write_text("\n".join(sorted(set(SYNTHESIS_CAPTIONS) - HEARD)))
    start = [sys.executable, "-m", "workflows.cli", "train", "supervised_debug", "--data", "synthesis"]
    return [*start, "--held-out", str(held_out), "--out", str(out), "--device", "cpu", "--json", *settings, *more]


def trained(out: Path, *more: str) -> list[dict[str, object]]:
    """What the command says, object by object."""
    done = subprocess.run(command(out, *more), cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def curve(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "curve.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, object]]]:
    """An uninterrupted run, and what it said."""
    out = tmp_path_factory.mktemp("whole") / "out"
    return out, trained(out)


def test_a_run_leaves_a_model_that_loads_and_separates(whole: tuple[Path, list[dict[str, object]]]) -> None:
    out, said = whole
    assert said[-1]["event"] == "done"
    assert said[-1]["model"] == str(out / "model.safetensors")
    model = load_model(str(out / "model.safetensors"))
    assert model.provenance["steps"] == STEPS
    assert model.provenance["recipe"]["about"].startswith("The twin of supervised")
    network = model.separator
    mixture = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (1, network.window_samples)).astype(np.float32))
    with torch.no_grad():
        wanted = model.clap.embed_text(["a dog barking"])
        condition = Condition(torch.cat([wanted, torch.zeros_like(wanted)], dim=1))
        features = network.encode(mixture)
        spectrum = network.analyse(mixture[:, None])
        stem = network.render(network.mask(features, condition), spectrum, network.window_samples)
        presence = network.presence(features, condition)
    assert stem.shape == (1, 1, network.window_samples)
    assert torch.isfinite(stem).all()
    assert 0.0 <= float(presence) <= 1.0


def test_every_row_is_said_and_tells_how_long_the_network_waited(
    whole: tuple[Path, list[dict[str, object]]],
) -> None:
    out, said = whole
    rows = curve(out)
    assert [row["step"] for row in rows] == list(range(2, STEPS + 1, 2))
    assert all(0.0 <= row["waiting"] <= 1.0 for row in rows)
    assert [row["step"] for row in said if row["event"] == "row"] == [row["step"] for row in rows]
    assert (out / "curves.png").stat().st_size > 1000
    assert len(list((out / "tensorboard").iterdir())) == 1
    assert json.loads((out / "run.json").read_text())["labels"] == said[-1]["labels"]


def test_a_finished_run_is_not_trained_again(whole: tuple[Path, list[dict[str, object]]]) -> None:
    out, _ = whole
    before = (out / "model.safetensors").read_bytes()
    again = trained(out)
    assert again[-1]["steps"] == STEPS
    assert (out / "model.safetensors").read_bytes() == before


def test_a_run_killed_in_the_middle_goes_on_as_if_it_had_not_been(
    whole: tuple[Path, list[dict[str, object]]], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        command(out), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{") and json.loads(line).get("step", 0) >= 6:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    assert not (out / "model.safetensors").exists()
    time.sleep(1.0)
    trained(out)
    uninterrupted, resumed = curve(whole[0]), curve(out)
    assert [row["step"] for row in resumed] == [row["step"] for row in uninterrupted]
    for row, again in zip(uninterrupted, resumed, strict=True):
        assert {n: v for n, v in again.items() if n not in TIMED} == pytest.approx(
            {n: v for n, v in row.items() if n not in TIMED}, abs=1e-5
        )
    assert "waiting" in resumed[-1]
    assert len(list(out.glob("checkpoint_2*"))) == 2  # not what the killed run was writing


def test_an_interrupted_run_says_so_and_leaves_an_out_without_states_to_another(tmp_path: Path) -> None:
    out = tmp_path / "out"
    never = ("--set", "schedule.save_every=1000", "--set", "schedule.steps=1000")
    process = subprocess.Popen(
        command(out, *never),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    next(line for line in process.stdout if line.startswith("{") and json.loads(line).get("step", 0) >= 2)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "interrupted; run the same command again to go on where it stopped" in error
    assert not (out / "owner").exists()
    assert "clips" not in json.loads((out / "run.json").read_text())


def test_of_two_at_once_the_later_one_trains_to_the_end(tmp_path: Path) -> None:
    out = tmp_path / "out"
    long = ("--set", "schedule.steps=40")
    first = subprocess.Popen(
        command(out, *long), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert first.stdout is not None
    next(line for line in first.stdout if line.startswith("{") and json.loads(line).get("step", 0) >= 2)
    said = trained(out, *long)
    _, error = first.communicate(timeout=600)
    assert first.returncode == 2
    assert "another training into" in error.splitlines()[-1]
    assert said[-1]["steps"] == 40
    assert [row["step"] for row in curve(out)] == list(range(2, 41, 2))
    assert len(list(out.glob("checkpoint_2*"))) == 2
    assert json.loads((out / "run.json").read_text())["clips"] > 0


def test_two_workers_train_one_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ray_head(cores=4, dashboard=False) as head:  # more than some machines have
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{head.ports['port']}")
        said = trained(tmp_path / "out", "--workers", "2", "--set", "schedule.steps=4")
    assert said[-1]["steps"] == 4
    assert [row["step"] for row in curve(tmp_path / "out")] == [2, 4]
    load_model(str(tmp_path / "out" / "model.safetensors"))
