"""`soundquarry models` as a person meets it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from small_model import save_small
from typer.testing import CliRunner

from model.registry import CLAPSEP
from workflows.cli import app


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOUNDQUARRY_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("SOUNDQUARRY_MODELS_URL", raising=False)
    return tmp_path / "models"


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of `soundquarry models ARGUMENTS`; an error that nobody words ends the test."""
    done = CliRunner().invoke(app, ["models", *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def rows(*arguments: str) -> list[dict[str, object]]:
    code, out, _ = run(*arguments)
    assert code == 0
    return [json.loads(line) for line in out.splitlines()]


def test_models_are_listed_with_what_is_here(folder: Path) -> None:
    mini, clapsep = rows("--json")
    assert (mini["name"], mini["here"], mini["sample_rate"]) == ("mini", True, 32_000)
    assert str(mini["signature"]).startswith("mini-")
    assert (clapsep["name"], clapsep["here"], clapsep["signature"]) == ("clapsep", False, None)
    code, out, _ = run()
    assert code == 0
    assert "not here yet: `soundquarry models pull clapsep`" in out
    folder.mkdir()
    save_small(folder / "clapsep.safetensors")
    here = rows("--json")[1]
    assert here["here"] is True
    assert str(here["signature"]).startswith("clapsep-")
    assert 0 < int(str(here["parameters"])) < 1_000_000  # counted in the file
    out = run()[1]
    assert "not here yet" not in out
    assert "not the published weights" in out


def test_one_model_is_shown_with_its_files_and_where_it_lies(folder: Path) -> None:
    code, out, _ = run("show", "clapsep")
    assert code == 0
    for said in (CLAPSEP.about, CLAPSEP.licence, str(folder / "clapsep.safetensors"), "310,299,698"):
        assert said in out
    for file in CLAPSEP.files:
        assert f"https://huggingface.co/{file.path}" in out
        assert f"{file.size_bytes:,} bytes, sha256 {file.sha256}" in out
    (mini,) = rows("show", "mini", "--json")
    assert Path(str(mini["path"])).name == "mini.safetensors"


def save_made_of(path: Path, made_of: dict[str, str]) -> None:
    """A file with the header of an imported model, and one number for weights."""
    provenance = {"about": "a model of that file", "licence": "its licence", "made_of": made_of}
    path.parent.mkdir(exist_ok=True)
    header = json.dumps({"format": 2, "provenance": provenance})
    save_file({"separator.weight": torch.ones(3)}, path, metadata={"soundquarry": header})


@pytest.mark.parametrize("published", [True, False])
def test_a_file_that_is_here_tells_of_itself_and_whether_it_is_the_published_one(folder: Path, published: bool) -> None:
    made_of = CLAPSEP.made_of | {"tokenizer": "any"} if published else CLAPSEP.made_of | {"clap": "another"}
    save_made_of(folder / "clapsep.safetensors", made_of)
    (row,) = rows("show", "clapsep", "--json")
    assert (row["about"], row["licence"]) == ("a model of that file", "its licence")
    assert row["made_of"] == made_of
    assert row["published"] is published
    for out in (run()[1], run("show", "clapsep")[1]):
        assert ("not the published weights" in out) is not published
    assert CLAPSEP.files[0].sha256 in out
    assert ("another" in out) is not published


def test_a_damaged_file_is_a_row_that_says_what_to_do(folder: Path) -> None:
    path = folder / "clapsep.safetensors"
    save_made_of(path, CLAPSEP.made_of)
    path.write_bytes(path.read_bytes()[:-1])
    row = rows("--json")[1]
    assert (row["state"], row["here"], row["signature"]) == ("damaged", False, None)
    for arguments in ([], ["show", "clapsep"]):
        code, out, _ = run(*arguments)
        assert code == 0
        assert "damaged: pull or import it again" in out


def test_json_is_asked_for_before_or_behind_the_subcommand(folder: Path) -> None:
    assert rows("--json", "show", "mini") == rows("show", "mini", "--json")


@pytest.mark.parametrize("out", [[], ["--out", "{folder}/clapsep.safetensors"]])
def test_unverified_weights_do_not_take_the_place_of_the_published_ones(folder: Path, out: list[str]) -> None:
    files = [word for name in ("checkpoint", "clap", "tokenizer") for word in (f"--{name}", "no.file")]
    code, _, error = run("import", "--unverified", *files, *[word.format(folder=folder) for word in out])
    assert code == 2
    assert "--out FILE.safetensors" in error


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["show", "clapsp"], 1, "did you mean clapsep?"),
        (["pull", "minni"], 1, "did you mean mini?"),
        (["import", "--checkpoint", "no.ckpt", "--clap", "no.pt", "--tokenizer", "."], 1, "no file no.ckpt"),
        (["import"], 2, "--checkpoint"),
        (["pull", "clapsep"], 1, "cannot reach 127.0.0.1:9 (["),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    arguments: list[str], code: int, said: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOUNDQUARRY_MODELS_URL", "http://127.0.0.1:9")  # nobody listens on the discard port
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")
    returned, _, error = run(*arguments)
    assert returned == code
    assert said in error


def test_a_model_that_comes_along_needs_no_pull(folder: Path) -> None:
    code, out, _ = run("pull", "mini")
    assert code == 0
    assert out.startswith("mini comes along: ")
    assert not os.path.exists(folder)
