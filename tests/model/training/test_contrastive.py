"""Contrastive training: towers meet within seconds on sounds that are easy to tell apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_model import WordSentences, small_clap
from tone_library import tone_library

from model.training.clips import ClipLibrary
from model.training.contrastive import ContrastiveTask
from model.training.loop import Schedule, train
from model.training.training_state import StateFile


@pytest.fixture(scope="module")
def library() -> ClipLibrary:
    return tone_library()


@pytest.fixture(scope="module")
def sentences(library: ClipLibrary) -> torch.Tensor:
    return WordSentences()(library.captions)


def task_of(library: ClipLibrary, sentences: torch.Tensor, seed: int = 1) -> ContrastiveTask:
    return ContrastiveTask(small_clap(), library, sentences, batch=8, seconds=1.0, seed=seed)


def test_same_seed_and_step_same_loss_and_another_step_another(library: ClipLibrary, sentences: torch.Tensor) -> None:
    task, again = task_of(library, sentences), task_of(library, sentences)
    losses = [float(task(step)["loss"].detach()) for step in range(3)]
    assert [float(again(step)["loss"].detach()) for step in (2, 0, 1)] == [losses[2], losses[0], losses[1]]
    assert len(set(losses)) == 3
    assert float(task_of(library, sentences, seed=2)(0)["loss"].detach()) != losses[0]


def test_the_towers_meet(library: ClipLibrary, sentences: torch.Tensor, tmp_path: Path) -> None:
    task, curve = task_of(library, sentences), list[float]()
    schedule = Schedule(steps=40, rate=0.01, warmup_steps=5, log_every=10, average=0.5)
    state = train(
        task.clap, task, schedule, StateFile(tmp_path / "clap.pt"), on_log=lambda row: curve.append(row["loss"])
    )
    assert curve[-1] < 0.8 * curve[0]
    task.clap = state.average.module
    with torch.no_grad():
        hits = [float(task(step)["hit"]) for step in range(100, 110)]
    assert sum(hits) / len(hits) > 0.6  # a quarter by chance
