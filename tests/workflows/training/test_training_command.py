"""`soundquarry train` as a person meets it, up to the first clip."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from typer.testing import CliRunner

from model.training.recipe_file import read_recipe, recipe_names, recipe_of
from workflows.cli import app
from workflows.cluster import ClusterError
from workflows.training.exported import Done, forget_done, read_done, write_done
from workflows.training.job import TrainJob
from workflows.training.ownership import Ownership

UNWORDED = ["--set", "queries.source=audio", "--data"]
TRAINED = ["audio_only_debug", "--data", "plain", "--validation", "other", "--out", "out"]
"""What `write_clips` wrote, without a word."""


def write_clips(folder: Path) -> None:
    """`plain` and `other`, two clips each; `other/a.csv` lists one of its own."""
    for level, name in ((0.1, "plain"), (0.3, "other")):
        (folder / name).mkdir()
        for clip in "ab":
            soundfile.write(folder / name / f"{clip}.wav", np.full(4000, level + 0.1 * (clip == "a")), 8000)
    (folder / "other" / "a.csv").write_text("path\na.wav\n")


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("TERM", "dumb")


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of `soundquarry train ARGUMENTS`; an error that nobody words ends the test."""
    done = CliRunner().invoke(app, ["train", *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_without_a_recipe_the_ready_ones_are_listed_with_what_they_are() -> None:
    code, out, _ = run()
    assert code == 0
    said = " ".join(out.split())
    for name in recipe_names():
        assert f"{name} " in said
        assert read_recipe(name).about[:40] in said
    code, out, _ = run("--json")
    assert (code, list(json.loads(out))) == (0, recipe_names())


def test_a_recipe_is_shown_whole_and_can_be_used_again(tmp_path: Path) -> None:
    code, out, _ = run("weak_unet", "--show", "--set", "mixtures.batch=3")
    assert code == 0
    expected = read_recipe("weak_unet", ["mixtures.batch=3"])
    assert recipe_of(yaml.safe_load(out), "shown") == expected
    (tmp_path / "shown.yaml").write_text(out)
    assert read_recipe(str(tmp_path / "shown.yaml")) == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["supervized"], "no recipe 'supervized' (did you mean supervised?)"),
        (["weak", "--set", "mixtures.bach=3"], "recipe weak: mixtures.bach: "),
        (["weak", "--set", "batch"], "give key=value, such as mixtures.batch=8"),
        (["weak"], "nothing to train on; give --data, or --data synthesis"),
        (["weak", "--data", "synthesis"], "nowhere to write to; give --out"),
        (["weak", "--data", "synthesis", "--out", "o", "--validation-share", "1.5"], "--validation-share is 1.5; give"),
        (["weak", "--data", "synthesis", "--out", "o", "--workers", "0"], "--workers"),
        (["weak", "--data", "synthesis", "--out", "o", "--device", "tpu"], "tpu"),
    ],
)
def test_wrong_use_is_a_sentence_and_exit_code_2(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, error = run(*arguments)
    assert code == 2
    assert said in error
    assert out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--data", "nowhere"], 2, "no data at nowhere: give a folder, a table"),
        (["--data", "synthesis", "--held-out", "none.txt"], 2, "none.txt cannot be read (No such file"),
        (["--data", "synthesis", "--set", "network.config.widhts=[4]"], 2, "network.config of compact_clapsep: widhts"),
        (["--data", "synthesis", "--set", "network.encoder=none"], 2, "network.encoder is 'none'"),
        (
            [*UNWORDED, "plain", "--set", "queries.retrieval.cache=gone"],
            2,
            "queries.retrieval.cache is 'gone'",
        ),
        (["--data", "plain"], 2, "supervised_debug asks for clips by their captions, and 2 of 2 clips have none"),
        (
            [*UNWORDED, "plain", "--set", "mixtures.sounds=9", "--validation", "other"],
            2,
            "mixtures of 9 sounds of 1 parts need 9 labels",
        ),
        ([*UNWORDED, "plain", "--validation-share", "1e-9"], 2, "0 clips of 0 labels are left to validate on"),
        ([*UNWORDED, "plain", "--validation", "other/a.csv"], 2, "other/a.csv has clips of 1 label"),
    ],
    ids=str,
)
def test_what_cannot_be_trained_on_ends_before_the_first_step(
    arguments: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_clips(tmp_path)
    returned, _, error = run("supervised_debug", *arguments, "--out", "out")
    assert (returned, said in error) == (code, True), error
    assert "Traceback" not in error


def test_a_run_that_could_not_start_leaves_out_to_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ClusterError("there is no cluster")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("workflows.train.train_on_ray", fails)
    write_clips(tmp_path)
    for seed in (1, 2):
        code, _, error = run(*TRAINED, "--set", f"seed={seed}")
        assert (code, error) == (1, "soundquarry: there is no cluster\n")


def test_what_was_trained_before_is_said_and_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise AssertionError("nothing is left to train")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("workflows.train.train_on_ray", fails)
    write_clips(tmp_path)
    write_done(Done(7, 2.5), "out")
    (tmp_path / "out" / "model.safetensors").write_bytes(b"of seven steps")
    for steps in (7, 5):
        code, out, _ = run(*TRAINED, "--set", f"schedule.steps={steps}")
        assert code == 0
        assert "7 steps on 2 clips of 2 labels were done before; --set schedule.steps=N with a larger N goes on" in out
        assert "(validation SI-SDRi 2.50 dB)" in out
    with pytest.raises(AssertionError, match="nothing is left"):
        run(*TRAINED, "--set", "schedule.steps=8")


def test_without_its_model_nothing_was_done(tmp_path: Path) -> None:
    assert read_done(str(tmp_path)) is None
    write_done(Done(7, None), str(tmp_path))
    assert read_done(str(tmp_path)) is None
    (tmp_path / "model.safetensors").touch()
    assert read_done(str(tmp_path)) == Done(7, None)


def test_of_two_recipes_at_once_the_one_that_owns_out_first_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def owns(job: TrainJob, own: Callable[[], Ownership], *_: object) -> None:
        if job.recipe.seed == 2:  # the other has claimed and read all that this one has, and owns OUT a moment earlier
            run(*TRAINED, "--set", "seed=3")
        own().expect()
        raise ClusterError("enough")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("workflows.train.train_on_ray", owns)
    write_clips(tmp_path)
    code, _, error = run(*TRAINED, "--set", "seed=2")
    assert (code, "holds a run that differs in recipe.seed" in error) == (2, True), error
    held = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (held["clips"], held["asked"]["recipe"]["seed"]) == (2, 3)


def test_what_is_told_of_a_model_may_be_torn(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    for text in ("", "[]", '{"steps": 3, "of": 1}'):
        (tmp_path / "done.json").write_text(text)
        assert read_done(str(tmp_path)) is None
    forget_done(str(tmp_path))
    forget_done(str(tmp_path))
    assert not (tmp_path / "done.json").exists()
