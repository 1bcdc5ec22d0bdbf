from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from fabricated_dataset import Member, commit_unit, sign
from rich.console import Console

from operators.dataset import rebuild_coverage, rebuild_sources
from workflows.verify import print_result, run_verify, verify


@pytest.fixture
def out(tmp_path: Path) -> str:
    folder = str(tmp_path)
    sign(folder, kind="extract")
    commit_unit(folder, "aa01", [Member("/odd [red]name[/red].wav")])
    rebuild_sources(folder)
    rebuild_coverage(folder)
    return folder


def test_a_clean_dataset_ends_with_0(out: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_verify(out) == 0
    assert "clean" in capsys.readouterr().out


def test_findings_end_with_1_and_are_one_json_object(out: str, capsys: pytest.CaptureFixture[str]) -> None:
    (Path(out) / "stems" / "aa" / "[bold]odd.parquet").write_bytes(b"x")
    assert run_verify(out, as_json=True) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["clean"], told["units"], told["stems"]) == (False, 1, 1)
    assert told["findings"][0]["kind"] == "not_a_unit"
    text = io.StringIO()
    print_result(verify(out, decode=True), Console(file=text, width=400))
    assert "[bold]odd.parquet" in text.getvalue()
    assert "1 stems decoded" in text.getvalue()
    assert "not clean" in text.getvalue()


@pytest.mark.parametrize("name", ["otu", ""])
def test_a_mistyped_path_or_a_folder_of_other_things_is_not_a_clean_dataset(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match="no dataset at"):
        run_verify(str(tmp_path / name))
