"""What is told: a result that names its list and its metrics, a line per row in CSV, tables, a picture."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from workflows.evaluate import Evaluation
from workflows.evaluation.chart import ChartError, check_chart, draw_chart
from workflows.evaluation.formats import CLAPSEP_RULE
from workflows.evaluation.mixtures import Mixture, MixtureList, Sound
from workflows.evaluation.questions import Asking
from workflows.evaluation.report import comparison_table, result_of, rows_as_csv, tables_of
from workflows.evaluation.rows import RowScores

HAS_MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None


def row(place: int, label: str, value: float | None, error: str | None = None) -> RowScores:
    return RowScores(
        place, place + 2, f"a {label}", f"{place}.wav", label,
        snr_sdri_db=value, si_sdri_db=value, absent_below_db=value and 20.0, error=error,
    )  # fmt: skip


@pytest.fixture
def done() -> Evaluation:
    rows = [row(0, "dog", 3.00004), row(1, "dog", 5.0), row(2, "bell", 10.0), row(3, "bell", None, "OSError: gone")]
    mixture = Mixture(0, 2, Sound(Path("0.wav"), "source_file"), (), CLAPSEP_RULE, "a dog")
    listed = MixtureList(
        Path("/lists/esc.csv"), "ab" * 32, "CLAPSep", (mixture,), "class_means", ("bss_sdri_db", "si_sdri_db")
    )
    return Evaluation(rows, listed, Asking(), "mini", "mini-1", "cpu", "float32")


def told(shown: object) -> str:
    console = Console(width=120, file=io.StringIO())
    console.print(shown, soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_result_says_how_it_was_mixed_asked_and_computed(done: Evaluation) -> None:
    result = json.loads(json.dumps(result_of(done)))
    assert (result["n"], result["errors"], result["unscored"]) == (3, 1, 0)
    assert result["snr_sdri_db"] == 6.0
    assert result["as_published"]["snr_sdri_db"] == 7.0  # dogs 4, bells 10
    assert result["list"] == {
        "path": "/lists/esc.csv", "sha256": "ab" * 32, "format": "CLAPSep", "mixing": CLAPSEP_RULE.about,
    }  # fmt: skip
    assert (result["query"], result["negative"], result["device"], result["precision"]) == (
        "text", False, "cpu", "float32",
    )  # fmt: skip
    assert {label: part["n"] for label, part in result["classes"].items()} == {"bell": 1, "dog": 2}
    assert [each["row"] for each in result["rows"]] == [0, 1, 2, 3]
    assert result["rows"][0]["snr_sdri_db"] == 3.0


def test_no_metric_is_called_sdr_alone(done: Evaluation) -> None:
    result = result_of(done)
    names = {*result, *result["rows"][0], *result["as_published"]}
    assert not {"sdr_db", "sdri_db", "sdr", "sdri"} & names
    assert "snr_sdri_db" in names


def test_labels_that_were_never_trained_on_are_summed_up_apart(done: Evaluation) -> None:
    result = result_of(done, frozenset({"bell"}))
    assert (result["seen"]["n"], result["seen"]["snr_sdri_db"]) == (2, 4.0)
    assert (result["unseen"]["n"], result["unseen"]["snr_sdri_db"]) == (1, 10.0)


def test_rows_are_lines_of_a_csv(done: Evaluation) -> None:
    lines = list(csv.DictReader(io.StringIO(rows_as_csv(done.rows))))
    assert [line["row"] for line in lines] == ["0", "1", "2", "3"]
    assert (lines[1]["snr_sdri_db"], lines[3]["snr_sdri_db"], lines[3]["error"]) == ("5.0", "", "OSError: gone")


def test_tables_tell_classes_failures_and_what_the_authors_of_the_list_tell(done: Evaluation) -> None:
    shown = told(tables_of(result_of(done, frozenset({"bell"})), done.listed.published))
    for sentence in (
        "a list of the kind CLAPSep",
        "mean of class means (3)",
        "unseen (1)",
        "line 5 failed: OSError: gone",
        "the authors of this kind of list tell bss_sdri_db: add --bss",
        "asked for what is not there (3 mixtures): 20.0 dB below the mixture, 100% at least 15 dB",
    ):
        assert sentence in shown
    assert "6.00 [" in shown


def test_a_comparison_is_a_table_of_differences_with_signs() -> None:
    metric = {
        "n": 9, "left_out": 1, "first": 3.0, "second": 3.5,
        "difference": 0.5, "interval": [0.1, 0.9], "share_better": 0.75,
    }  # fmt: skip
    shown = told(comparison_table({"first": {"model": "a"}, "second": {"model": "b"}, "metrics": {"sir_db": metric}}))
    for part in ("first: model a", "sir_db", "+0.50", "+0.10 to +0.90", "75%", "up to 1 mixtures left out"):
        assert part in shown


@pytest.mark.skipif(HAS_MATPLOTLIB, reason="matplotlib is here")
def test_without_matplotlib_a_picture_is_refused_with_what_brings_it() -> None:
    with pytest.raises(
        ChartError, match=r"--plot needs matplotlib, which is not here: pip install 'soundquarry\[train\]'"
    ):
        check_chart(Path("a.png"))


def test_a_picture_of_another_kind_is_refused() -> None:
    with pytest.raises(ChartError, match=r"ends in .png or .svg or .pdf"):
        check_chart(Path("a.jpeg2000"))


@pytest.mark.skipif(not HAS_MATPLOTLIB, reason="the extra train brings matplotlib")
def test_a_picture_has_a_bar_for_every_class_and_one_for_all(done: Evaluation, tmp_path: Path) -> None:
    check_chart(tmp_path / "a.png")
    draw_chart(result_of(done), tmp_path / "a.svg")
    draw_chart(result_of(done), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "a.svg").read_text().count("<!-- ") >= 3  # each text is there as a comment
    for name in ("dog (2)", "bell (1)", "all mixtures (3)"):
        assert f"<!-- {name} -->" in (tmp_path / "a.svg").read_text()


def test_a_result_without_a_score_has_no_picture(done: Evaluation, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    nothing = Evaluation(done.rows[3:], done.listed, done.asking, "mini", "mini-1", "cpu", "float32")
    with pytest.raises(ChartError, match="no mixture was scored"):
        draw_chart(result_of(nothing), tmp_path / "a.png")
