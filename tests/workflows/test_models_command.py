"""`soundquarry models` as a person meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_model import save_small

from model.registry import CLAPSEP


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOUNDQUARRY_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("SOUNDQUARRY_MODELS_URL", raising=False)
    return tmp_path / "models"


def run(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "workflows.cli", "models", *arguments], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


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
    assert "not here yet" not in run()[1]


def test_one_model_is_shown_with_its_files_and_where_it_lies(folder: Path) -> None:
    code, out, _ = run("show", "clapsep")
    assert code == 0
    for said in (CLAPSEP.about, CLAPSEP.licence, str(folder / "clapsep.safetensors"), "305,000,000"):
        assert said in out
    for file in CLAPSEP.files:
        assert f"https://huggingface.co/{file.path}" in out
        assert f"{file.size_bytes:,} bytes, sha256 {file.sha256}" in out
    (mini,) = rows("show", "mini", "--json")
    assert Path(str(mini["path"])).name == "mini.safetensors"


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
