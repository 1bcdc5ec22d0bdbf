"""One OUT holds one run: the same goes on, longer too, and another one is refused by what differs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from model.training.recipe_file import read_recipe
from workflows.training.job import TrainingRunError, TrainJob, claim_out, described, write_run


def job(out: Path, *settings: str, **more: Any) -> TrainJob:
    asked = {"data": ("synthesis",), "out": str(out), **more}
    return TrainJob(recipe=read_recipe("supervised_debug", settings), recipe_name="supervised_debug", **asked)


def begin(out: Path) -> bytes:
    """A run whose clips are read; returns what its OUT then says."""
    claim_out(job(out))
    write_run(job(out), {"clips": 7})
    return (out / "run.json").read_bytes()


def test_the_same_run_goes_on_in_its_out(tmp_path: Path) -> None:
    held = begin(tmp_path)
    claim_out(job(tmp_path))
    assert (tmp_path / "run.json").read_bytes() == held


def test_a_run_that_began_before_a_key_came_goes_on(tmp_path: Path) -> None:
    begin(tmp_path)
    held = json.loads((tmp_path / "run.json").read_text())
    assert held["asked"]["recipe"]["mixtures"].pop("room_share") == 0.0
    (tmp_path / "run.json").write_text(json.dumps(held))
    claim_out(job(tmp_path))
    with pytest.raises(TrainingRunError, match=r"differs in recipe\.mixtures\.room_share"):
        claim_out(job(tmp_path, "mixtures.room_share=0.5"))


def test_more_steps_are_the_same_run(tmp_path: Path) -> None:
    begin(tmp_path)
    longer = job(tmp_path, "schedule.steps=99")
    claim_out(longer)
    write_run(longer, {"clips": 7})
    assert json.loads((tmp_path / "run.json").read_text())["steps"] == 99


def test_how_it_is_run_is_not_what_it_is(tmp_path: Path) -> None:
    begin(tmp_path)
    before = (tmp_path / "run.json").read_bytes()
    claim_out(job(tmp_path, mixers=3, device="cpu", address="auto"))  # nothing is raised
    assert (tmp_path / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "more", "named"),
    [
        (["seed=5"], {}, "recipe.seed"),
        (["mixtures.batch=3", "schedule.rate=0.5"], {}, "recipe.mixtures.batch, recipe.schedule.rate"),
        (["network.config.bands=16"], {}, "recipe.network.config.bands"),
        ([], {"data": ("elsewhere",)}, "data"),
        ([], {"validation": ("elsewhere",)}, "validation"),
        ([], {"validation_share": 0.5}, "validation_share"),
        ([], {"held_out_labels": frozenset({"dog"})}, "held_out_labels"),
        ([], {"unwanted_licences": frozenset({"NC"})}, "unwanted_licences"),
        ([], {"workers": 2}, "workers"),
    ],
    ids=str,
)
def test_another_run_in_the_same_out_is_refused_and_named(
    tmp_path: Path, settings: list[str], more: dict[str, Any], named: str
) -> None:
    held = begin(tmp_path)
    with pytest.raises(TrainingRunError) as refused:
        claim_out(dataclasses.replace(job(tmp_path, *settings), **more))
    assert f"holds a run that differs in {named}; give another --out, or ask for the same" in str(refused.value)
    assert (tmp_path / "run.json").read_bytes() == held


def test_an_out_whose_clips_could_not_be_read_is_free_for_another_run(tmp_path: Path) -> None:
    claim_out(job(tmp_path, data=("mistyped",)))
    claim_out(job(tmp_path))
    assert json.loads((tmp_path / "run.json").read_text())["asked"] == described(job(tmp_path))


def test_a_dataset_is_no_place_for_a_training(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(TrainingRunError, match=r"holds a dataset of sounds \(dataset\.json\); give another --out"):
        claim_out(job(tmp_path))
    assert not (tmp_path / "run.json").exists()


def test_a_training_that_once_began_in_a_dataset_can_go_on(tmp_path: Path) -> None:
    held = begin(tmp_path)
    (tmp_path / "dataset.json").write_text("{}")
    claim_out(job(tmp_path))
    assert (tmp_path / "run.json").read_bytes() == held


def test_what_was_found_is_written_beside_what_was_asked_for(tmp_path: Path) -> None:
    write_run(job(tmp_path), {"clips": 7, "unreadable": [("a.wav", "it holds no sound")]})
    held = json.loads((tmp_path / "run.json").read_text())
    assert held["clips"] == 7
    assert held["unreadable"] == [["a.wav", "it holds no sound"]]
    assert held["asked"] == described(job(tmp_path))
    claim_out(job(tmp_path))


def test_a_run_file_that_is_torn_or_of_something_else_is_said_to_be_so(tmp_path: Path) -> None:
    for text in ("{", "{}", "[]"):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(TrainingRunError, match=r"run\.json .* is not that of a training run"):
            claim_out(job(tmp_path))
