"""How a command ends: sentences and exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from fabricated_dataset import Member, commit_unit, sign
from no_credentials import without_credentials
from typer.testing import CliRunner

from workflows.cli import app
from workflows.commands.endings import GOES_ON, run


def interrupt() -> None:
    raise KeyboardInterrupt


def test_an_interruption_says_what_it_leaves_behind(capsys: pytest.CaptureFixture[str]) -> None:
    for said in (GOES_ON, "the report is as it was"):
        with pytest.raises(typer.Exit) as caught:
            run(interrupt, interrupted=said)
        assert (caught.value.exit_code, capsys.readouterr().err) == (130, f"soundquarry: interrupted; {said}\n")
    with pytest.raises(typer.Exit):
        run(interrupt)
    assert capsys.readouterr().err == "soundquarry: interrupted; nothing was changed\n"


def test_an_export_that_is_interrupted_says_how_it_goes_on(tmp_path: Path) -> None:
    out, to = str(tmp_path / "out"), tmp_path / "to"
    sign(out, kind="extract")
    commit_unit(out, "cc01", [Member(f"/m/s{k:02}.wav", seconds=120.0) for k in range(12)])
    command = [sys.executable, "-m", "workflows.cli", "export", out, "--to", str(to)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while len(list(to.rglob("*.wav"))) < 2:
        assert running.poll() is None
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGINT)
    _, said = running.communicate()
    assert running.returncode == 130
    assert "files that are there are whole" in said
    assert "--overwrite" in said
    assert "where it stopped" not in said
    left = [path.name for path in to.rglob("*") if path.is_file()]
    assert 2 <= len(left) < 12
    assert set(left) == {"dog.wav"}


def test_errors_of_a_store_are_a_sentence_and_others_are_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_credentials(tmp_path, monkeypatch)
    done = CliRunner().invoke(app, ["export", "s3://bucket/x", "--to", str(tmp_path / "to")])
    assert done.exit_code == 1
    assert "the store does not answer as it should (NoCredentialsError" in done.stderr
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 / 0)
