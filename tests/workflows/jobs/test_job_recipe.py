"""The recipe of a training job stands alone: named where it is known everywhere, else sent as it resolves."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from workflows.cli import app
from workflows.jobs.job_file import JobFileError, context_of, job_of, read_job
from workflows.jobs.job_parcel import parcel
from workflows.jobs.job_recipe import job_recipe

REST = ["--data", "synthesis", "--out", "s3://models/talks"]
JOB = "workflow: train\nrecipe: recipe.yaml\ndata: [synthesis]\nout: s3://models/talks\n"


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe with a base beside it, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ours.yaml").write_text("base: supervised\nmixtures: {batch: 8}\n")
    path = tmp_path / "recipe.yaml"
    path.write_text("base: ours.yaml\nabout: Ours.\nmixtures: {seconds: 2.0}\n")
    return path


def test_a_ready_recipe_is_named_and_not_sent() -> None:
    files = parcel(job_of("train", ["supervised", *REST, "--set", "mixtures.batch=8"])).files
    assert list(files) == ["job.yaml"]
    assert yaml.safe_load(files["job.yaml"]) == {
        "workflow": "train",
        "recipe": "supervised",
        "data": ["synthesis"],
        "out": "s3://models/talks",
        "set": ["mixtures.batch=8"],
    }


def test_a_recipe_file_is_sent_with_its_bases_and_settings_and_is_the_same_work_elsewhere(
    recipe: Path, tmp_path: Path
) -> None:
    (tmp_path / "labels.txt").write_text("dog\n")
    job = job_of("train", [str(recipe), *REST, "--set", "seed=3", "--held-out", "labels.txt"])
    sent = parcel(job)
    assert list(sent.files) == ["job.yaml", "recipe.yaml", "held_out.txt"]
    assert sent.warnings == ()
    (tmp_path / "elsewhere").mkdir()
    for name, content in sent.files.items():
        (tmp_path / "elsewhere" / name).write_bytes(content)
    there = read_job(tmp_path / "elsewhere" / "job.yaml")
    assert there.recipe is not None
    assert (there.recipe.recipe.mixtures.batch, there.recipe.recipe.mixtures.seconds) == (8, 2.0)
    assert (there.recipe.recipe.seed, "set" in there.options) == (3, False)
    assert there.options["held_out"] == str(tmp_path / "elsewhere" / "held_out.txt")
    assert there.work == job.work


def test_a_command_and_a_file_that_ask_for_the_same_training_are_the_same_work(recipe: Path) -> None:
    (recipe.parent / "job.yaml").write_text(JOB + "set: [seed=3]\n")
    job = read_job(recipe.parent / "job.yaml")
    assert job == job_of("train", [str(recipe), *REST, "--set", "seed=3"])
    with context_of(job) as command:
        assert command.params["settings"] == ["seed=3"]
        assert command.params["data"] == ["synthesis"]


@pytest.mark.parametrize("how", [["--device", "cuda"], ["--mixers", "3"], ["--json"], ["--set", "seed=1"]], ids=str)
def test_work_is_what_is_learned_and_not_how(recipe: Path, how: list[str]) -> None:
    assert job_of("train", ["recipe.yaml", *REST, *how]).work == job_of("train", ["recipe.yaml", *REST]).work


@pytest.mark.parametrize(
    "what",
    [["--workers", "2"], ["--set", "seed=2"], ["--validation", "synthesis"], ["--without-licence", "NC"]],
    ids=str,
)
def test_other_workers_and_other_settings_are_other_work(recipe: Path, what: list[str]) -> None:
    assert job_of("train", ["recipe.yaml", *REST, *what]).work != job_of("train", ["recipe.yaml", *REST]).work


def test_work_follows_the_content_of_bases_and_of_held_out_labels(recipe: Path) -> None:
    works = []
    for labels in ("dog\n", "cat\n"):
        (recipe.parent / "labels.txt").write_text(labels)
        works.append(job_of("train", ["recipe.yaml", *REST, "--held-out", "labels.txt"]).work)
    (recipe.parent / "ours.yaml").write_text("base: supervised\nmixtures: {batch: 9}\n")
    works.append(job_of("train", ["recipe.yaml", *REST, "--held-out", "labels.txt"]).work)
    assert len(set(works)) == 3


def test_files_that_a_recipe_names_are_written_from_the_root_on_and_told_of(recipe: Path) -> None:
    asked = ["retrieval", *REST, "--set", "queries.retrieval.cache=captions.safetensors"]
    sent = parcel(job_of("train", asked))
    written = yaml.safe_load(sent.files["recipe.yaml"])
    assert written["queries"]["retrieval"]["cache"] == f"{recipe.parent}/captions.safetensors"
    (said,) = sent.warnings
    assert said.startswith(f"recipe: queries.retrieval.cache: {recipe.parent}/captions.safetensors is a path of this")
    assert "s3://" not in said, "it is read by path"
    assert parcel(job_of("train", asked), mounted=[str(recipe.parent)]).warnings == ()


def test_a_checkpoint_is_a_path_and_a_models_name_is_not(recipe: Path) -> None:
    (recipe.parent / "start.safetensors").touch()
    found = job_recipe("supervised", ["network.start=start.safetensors"])
    assert list(found.paths) == [("network.start", f"{recipe.parent}/start.safetensors")]
    assert list(found.models) == [("towers", "mini"), *found.paths]
    assert job_recipe("supervised", []).ready == "supervised"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["supervised", "--out", "o"], "a job of train must say data"),
        (["--data", "synthesis"], "a job of train must say recipe, out"),
        (["supervised", *REST, "--validation-share", "1"], "--validation-share is 1.0; give a number between 0 and 1"),
        (["suprvised", *REST], r"no recipe 'suprvised' \(did you mean supervised\?\)"),
        (
            ["supervised", *REST, "--set", "mixtures.batsh=8"],
            "mixtures.batsh: there is no such key",
        ),
        (["supervised", *REST, "--set", "towers=minni"], r"recipe: towers: no model 'minni' \(did you mean mini\?\)"),
    ],
    ids=str,
)
def test_what_could_not_be_trained_is_not_packed(arguments: list[str], said: str) -> None:
    with pytest.raises(JobFileError, match=said):
        parcel(job_of("train", arguments))


def test_run_shows_the_recipe_of_a_job_and_submit_does_not(recipe: Path) -> None:
    (recipe.parent / "job.yaml").write_text(JOB)
    shown = CliRunner().invoke(app, ["run", "job.yaml", "--show"])
    assert shown.exit_code == 0, shown.output
    assert yaml.safe_load(shown.stdout)["mixtures"]["batch"] == 8
    sent = CliRunner().invoke(app, ["submit", "job.yaml", "--show", "--address", "http://127.0.0.1:1"])
    assert sent.exit_code == 2
    assert "--show is no part of a job" in sent.stderr


def test_run_ends_with_2_for_data_that_is_not_there(recipe: Path) -> None:
    (recipe.parent / "job.yaml").write_text(JOB.replace("[synthesis]", "[clips]").replace("s3://models/talks", "out"))
    done = CliRunner().invoke(app, ["run", "job.yaml"])
    assert done.exit_code == 2, done.output
    assert "no data at clips" in done.stderr
