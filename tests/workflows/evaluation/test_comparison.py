"""Two results of one list are compared mixture by mixture; of different lists, not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workflows.evaluation.comparison import compare
from workflows.evaluation.mixtures import ListError

COUNT = 60


def result(gain_db: float, spread_db: float = 0.3) -> dict[str, Any]:
    """Mixtures of very different difficulty, all of them about as much better as `gain_db` says."""
    hard = np.random.default_rng(0).normal(5.0, 8.0, COUNT)
    noise = np.random.default_rng(1).normal(0.0, spread_db, COUNT) if gain_db else np.zeros(COUNT)
    rows = [
        {"row": at, "caption": "a sound", "target": f"{at}.wav", "snr_sdri_db": hard[at] + gain_db + noise[at]}
        for at in range(COUNT)
    ]
    return {"list": {"path": "list.csv", "sha256": "ab", "mixing": "at 0 dB"}, "model": "mini", "rows": rows}


def written(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.write_text(json.dumps(content))
    return path


def test_a_small_gain_is_seen_through_mixtures_of_very_different_difficulty(tmp_path: Path) -> None:
    told = compare(written(tmp_path, "a.json", result(0.0)), written(tmp_path, "b.json", result(0.5)))
    metric = told["metrics"]["snr_sdri_db"]
    assert metric["difference"] == pytest.approx(0.5, abs=0.15)
    low, high = metric["interval"]
    assert 0.0 < low < metric["difference"] < high < 1.0
    assert metric["share_better"] > 0.8
    assert metric["second"] - metric["first"] == pytest.approx(metric["difference"], abs=2e-3)


def test_a_result_gains_nothing_over_itself(tmp_path: Path) -> None:
    path = written(tmp_path, "a.json", result(0.5))
    metric = compare(path, path)["metrics"]["snr_sdri_db"]
    assert (metric["difference"], metric["interval"], metric["share_better"]) == (0.0, [0.0, 0.0], 0.0)


def test_mixtures_that_one_side_did_not_score_are_left_out_and_counted(tmp_path: Path) -> None:
    other = result(0.5)
    other["rows"][3]["snr_sdri_db"] = None
    metric = compare(written(tmp_path, "a.json", result(0.0)), written(tmp_path, "b.json", other))["metrics"]
    assert (metric["snr_sdri_db"]["n"], metric["snr_sdri_db"]["left_out"]) == (COUNT - 1, 1)


def other_list(content: dict[str, Any]) -> None:
    content["list"]["sha256"] = "cd"


def otherwise_mixed(content: dict[str, Any]) -> None:
    content["list"]["mixing"] = "ready-made"


def fewer_rows(content: dict[str, Any]) -> None:
    del content["rows"][5:]


def other_metric(content: dict[str, Any]) -> None:
    for row in content["rows"]:
        row["sir_db"] = row.pop("snr_sdri_db")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_list, "of different lists: sha256 is ab"),
        (otherwise_mixed, "of different lists: mixing is at 0 dB of list.csv, and ready-made"),
        (fewer_rows, "has 60 mixtures, .* has 5, not the same ones"),
        (other_metric, "no metric in common"),
    ],
)
def test_lists_that_differ_are_refused(tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str) -> None:
    other = result(0.5)
    change(other)
    with pytest.raises(ListError, match=said):
        compare(written(tmp_path, "a.json", result(0.0)), written(tmp_path, "b.json", other))


def test_what_is_no_result_is_refused_with_what_makes_one(tmp_path: Path) -> None:
    good = written(tmp_path, "a.json", result(0.0))
    (tmp_path / "text.json").write_text("dogs")
    for path, said in (
        (tmp_path / "gone.json", "no result at"),
        (tmp_path / "text.json", "is no JSON"),
        (written(tmp_path, "old.json", {"n": 1, "rows": []}), "no result of this version"),
    ):
        with pytest.raises(ListError, match=said):
            compare(good, path)
