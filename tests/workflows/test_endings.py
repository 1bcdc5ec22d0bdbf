"""How a command ends: sentences and exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from fabricated_dataset import Member, commit_unit, sign
from no_credentials import without_credentials
from typer.testing import CliRunner

from workflows.cli import app
from workflows.commands.endings import GOES_ON, run
from workflows.export_progress import ExportProgress


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


def test_an_export_that_is_interrupted_says_how_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, to = str(tmp_path / "out"), tmp_path / "to"
    sign(out, kind="extract")
    commit_unit(out, "cc01", [Member(f"/m/s{k}.wav") for k in range(4)])

    def advance(self: ExportProgress, seconds: float, files: int = 0) -> None:
        if files:  # the first track is written
            raise KeyboardInterrupt

    monkeypatch.setattr(ExportProgress, "advance", advance)
    done = CliRunner().invoke(app, ["export", out, "--to", str(to)])
    assert done.exit_code == 130
    assert "interrupted; files that are there are whole, and the index does not tell of them yet" in done.stderr
    assert "--overwrite" in done.stderr
    assert [path.relative_to(to).as_posix() for path in to.rglob("*") if path.is_file()] == ["s0/dog.wav"]
    monkeypatch.undo()
    assert CliRunner().invoke(app, ["export", out, "--to", str(to), "--overwrite"]).exit_code == 0
    assert len(list(to.rglob("*.wav"))) == 4


def test_errors_of_a_store_are_a_sentence_and_others_are_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_credentials(tmp_path, monkeypatch)
    done = CliRunner().invoke(app, ["export", "s3://bucket/x", "--to", str(tmp_path / "to")])
    assert done.exit_code == 1
    assert "the store does not answer as it should (NoCredentialsError" in done.stderr
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 / 0)
