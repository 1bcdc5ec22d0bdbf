"""One number of many: means inside their intervals, classes apart, and the two ways of papers beside the plain mean."""

from __future__ import annotations

import numpy as np
import pytest

from workflows.evaluation.rows import RowScores, as_table, from_table
from workflows.evaluation.summary import bootstrap_interval, by_class, mean_of, of_classes, summarise


def row(place: int, label: str, value: float | None, absent: float | None = None) -> RowScores:
    return RowScores(place, place + 2, "a sound", "a.wav", label, snr_sdri_db=value, absent_below_db=absent)


ROWS = [row(0, "dog", 1.0), row(1, "dog", 2.0), row(2, "dog", 9.0), row(3, "bell", 6.0), row(4, "bell", None)]


def test_the_interval_of_equal_values_is_a_point_and_shrinks_with_their_number() -> None:
    assert bootstrap_interval([2.0] * 5) == (2.0, 2.0)
    values = np.random.default_rng(0).normal(3.0, 1.0, 400)
    few, many = bootstrap_interval(list(values[:25])), bootstrap_interval(list(values))
    assert many[1] - many[0] < (few[1] - few[0]) / 2
    assert many[0] < 3.0 < many[1]


def test_an_interval_holds_the_true_mean_about_19_times_in_20() -> None:
    random = np.random.default_rng(1)
    estimates = [mean_of(list(random.normal(0.0, 1.0, 60)), seed=at) for at in range(100)]
    assert 88 <= sum(estimate.low < 0.0 < estimate.high for estimate in estimates) <= 100


def test_classes_count_alike_by_their_means_or_their_medians() -> None:
    values = [[1.0, 2.0, 9.0], [6.0]]
    assert of_classes(values, "class_means").value == pytest.approx(5.0)
    medians = of_classes(values, "class_medians")
    assert medians.value == pytest.approx(4.0)
    assert medians.low < 4.0 < medians.high


def test_a_summary_is_the_papers_own_where_that_is_asked_for() -> None:
    assert summarise(ROWS)["snr_sdri_db"] == 4.5
    assert summarise(ROWS, "class_means")["snr_sdri_db"] == 5.0
    assert summarise(ROWS, "class_medians")["snr_sdri_db"] == 4.0
    summary = summarise(ROWS)
    low, high = summary["snr_sdri_db_interval"]
    assert (summary["n"], low < 4.5 < high) == (4, True)
    assert "bss_sdri_db" not in summary


def test_rows_that_were_not_scored_count_for_nothing() -> None:
    assert summarise([row(0, "", None)]) == summarise([]) == {"n": 0}


def test_every_class_has_a_summary_of_its_own_and_rows_without_one_have_none() -> None:
    classes = by_class([*ROWS, row(5, "", 100.0)])
    assert {label: part["snr_sdri_db"] for label, part in classes.items()} == {"bell": 6.0, "dog": 4.0}


def test_answers_to_absent_queries_are_told_by_their_level_and_their_share() -> None:
    summary = summarise([row(0, "", 1.0, 30.0), row(1, "", 1.0, 10.0), row(2, "", 1.0, 15.0), row(3, "", 1.0)])
    assert (summary["n_absent"], summary["absent_below_db"]) == (3, pytest.approx(55 / 3, abs=1e-3))
    assert summary["absent_share"] == pytest.approx(2 / 3, abs=1e-3)


def test_rows_pass_through_a_table_unchanged() -> None:
    assert from_table(as_table(ROWS)) == ROWS
