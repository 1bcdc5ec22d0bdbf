"""How a training tells how it does: lines for people, objects for programs."""

from __future__ import annotations

import json

import pytest

from workflows.training.training_progress import MOST_NAMED, TrainingProgress, TrainSummary, print_summary

ROW = {"step": 1200, "seconds_per_step": 0.42, "loss": -8.3102, "si_sdri_db": 7.5, "odd": 1.0, "waiting": 0.031}
SUMMARY = TrainSummary(
    model="out/model.safetensors",
    steps=1500,
    score=6.789,
    clips=1234,
    labels=28,
    left_out={"licence": 3},
    unreadable=[(f"clip{n}.wav", "it holds no sound") for n in range(MOST_NAMED + 2)],
    seconds=75.0,
)


def test_a_row_is_one_line() -> None:
    line = TrainingProgress(10_000, as_json=False).describe(ROW)
    assert line.startswith("step 1,200/10,000, loss -8.310, si_sdri 7.500, 0.42 s a step (3% waiting), ")
    assert line.endswith(" left")
    assert "1 h 0" in line  # 8,800 steps of 0.42 s
    assert "odd" not in line
    assert "validation" not in line


def test_the_line_keeps_the_last_validation_and_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    progress = TrainingProgress(10_000, as_json=False)
    for score in (3.0, 5.5, 4.25):
        progress.advance({**ROW, "validation_score": score})
    progress.advance(ROW)
    assert ", validation SI-SDRi 4.25 dB (best 5.50), " in progress.describe(ROW)


def test_the_last_row_is_always_said(capsys: pytest.CaptureFixture[str]) -> None:
    progress = TrainingProgress(1200, as_json=False)
    progress.start("reading clips ...")
    progress.advance({**ROW, "step": 600})
    progress.advance(ROW)
    progress.stop()
    said = capsys.readouterr().out
    assert "step 1,200/1,200" in said
    assert "step 600/" not in said  # no terminal: a line every ten seconds


def test_programs_get_every_row_as_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    progress = TrainingProgress(1200, as_json=True)
    progress.start("reading clips ...")
    progress.advance(ROW)
    progress.stop()
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [{"event": "row", **ROW}]


def test_the_end_tells_what_came_out_and_what_was_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(SUMMARY, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1,500 steps on 1,234 clips of 28 labels in ")
    assert lines[1] == "left out for their licence: 3 clips"
    assert lines[2:7] == [f"left out, it holds no sound: clip{n}.wav" for n in range(5)]
    assert lines[7:] == [
        "left out as well: 2 unreadable clips, all named in run.json",
        "out/model.safetensors (validation SI-SDRi 6.79 dB)",
    ]


def test_the_end_is_an_object_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(SUMMARY, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["event"], told["steps"], told["score"], len(told["unreadable"])) == ("done", 1500, 6.789, 7)
