"""The command line as a person meets it: quick help, plain errors, exit codes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_here import command_here

SOUNDQUARRY = [sys.executable, "-m", "workflows.cli"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SOUNDQUARRY, *arguments], capture_output=True, text=True, check=False)


def test_help_needs_neither_torch_nor_ray() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from workflows.cli import app; "
        "CliRunner().invoke(app, ['--help']); print([n for n in ('torch', 'ray', 'transformers') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_names_every_command_and_answers_at_once() -> None:
    began = time.monotonic()
    done = run("--help")
    seconds = time.monotonic() - began
    assert done.returncode == 0
    for name in "extract mine export search evaluate verify report models doctor run submit jobs".split():
        assert name in done.stdout
    assert seconds < 10.0  # under one second on an idle machine (README); this only catches an import of torch


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["extract", "nothing.wav", "--catalog", "everyday", "--out", "o"], 2, "nothing.wav"),
        (["extract", "nothing.wav", "--catalog", "evryday", "--out", "o"], 2, "everyday"),
        (["extract", "x.wav", "--catalog", "everyday", "--out", "o", "--device", "tpu"], 2, "tpu"),
        (["extract", "x.wav", "--catalog", "everyday", "--out", "o", "--model", "huge"], 1, "huge"),
        (["extract", "x.wav", "--catalog", "everyday", "--out", "o", "--threshold", "2"], 2, "--threshold is 2"),
        (["extract", "x.wav", "--catalog", "everyday", "--out", "o", "--unit-seconds", "nan"], 2, "is nan"),
        (["extract", "x.wav", "--catalog", "everyday", "--out", "o", "--workers", "0"], 2, "--workers is 0"),
        (["extract", "unheardof://x", "--catalog", "everyday", "--out", "o"], 2, "Protocol not known"),
        (["extract", "m.csv", "--catalog", "everyday", "--out", "o"], 2, "m.csv, line 2: start 'soon' is not a number"),
        (["extract", "x.wav", "--catalog", "everyday", "--out", "o", "--rate", "48000"], 2, "choose model or source"),
        (["extract", "x.wav", "--catalog", "everyday", "--out", "o", "--precision", "int8"], 2, "float32 or bfloat16"),
        (["extract", "x.wav", "--catalog", "everyday", "--out", "o", "--precision", "bfloat16"], 2, "works in float32"),
        (["extract", "x.wav", "--catalog", "a", "--out", "o", "--no-gate", "--gate-threshold", "0"], 2, "give one of"),
        (["mine", "x.wav", "--catalog", "everyday", "--out", "o", "--padding", "6"], 2, "--padding is 6.0; give"),
        (["mine", "x.wav", "--catalog", "everyday", "--out", "o", "--max-event-seconds", "0"], 2, "from 1 to 40"),
        (["mine", "x.wav", "--catalog", "everyday", "--out", "o", "--ucs-list", "no.csv"], 2, "no.csv"),
        (["search", "o"], 2, "nothing to search for"),
        (["search", "o", "a dog", "--top", "0"], 2, "--top is 0"),
        (["search", "o", "a dog"], 1, "no dataset at o"),
        (["extract", "t.wav", "--catalog", "animals", "--out", "training"], 2, "training holds a training (run.json)"),
        (["verify", "."], 1, "no dataset at .: no dataset.json lies there"),
        (["report", "o"], 1, "no dataset at"),
        (["evaluate", "no.csv", "--root", "."], 2, "no.csv"),
        (["evaluate", "no.csv", "--root", ".", "--device", "tpu"], 2, "--device is 'tpu'"),
    ],
)
def test_wrong_use_is_a_sentence_that_names_the_value(
    arguments: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "run.json").write_text("{}")
    (tmp_path / "t.wav").write_bytes(b"RIFF")
    (tmp_path / "m.csv").write_text("uri,start\nx.wav,soon\n")
    done = command_here(*arguments)
    assert done.exit_code == code, done.stderr
    assert said in done.stderr


def test_a_process_that_was_used_wrongly_ends_with_its_sentence_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    done = run("extract", "nothing.wav", "--catalog", "everyday", "--out", "o")
    assert done.returncode == 2
    assert "nothing.wav" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
