"""The tables of the chart's README: made from values.yaml, every value with its words."""

from __future__ import annotations

import pytest

from workflows.chart_readme import CHART, chart_values, values_tables, with_tables

VALUES = (CHART / "values.yaml").read_text(encoding="utf-8")


def test_the_readme_of_the_chart_is_made_from_its_values() -> None:
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    assert readme == with_tables(readme, VALUES), "run python -m workflows.chart_readme"


def test_every_value_has_its_words_and_its_section() -> None:
    values = chart_values(VALUES)
    assert len(values) > 100
    rows = [line for line in values_tables(VALUES).splitlines() if line.startswith("| `")]
    assert len(rows) == len(values), "a value stands before the first section"
    assert all(value.about[0].isupper() or value.about[0] == "`" for value in values)


def test_a_value_without_words_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"line 4: b\.c has no words: write '# -- "):
        chart_values("# -- A\na: 1\nb:\n  c: 2\n")


def test_the_words_of_a_value_may_take_several_lines() -> None:
    (value,) = chart_values("# === S\n\n# no words\n# -- One,\n# two\na: [1, x]\n")
    assert (value.path, value.default, value.about) == ("a", '[1, "x"]', "One, two")


def test_a_value_with_words_is_one_row_whatever_is_below_it() -> None:
    text = "# === S | T\n\na:\n  # -- All | of it\n  b: {c: 1, d: {}}\n"
    assert values_tables(text).splitlines()[-1] == '| `a.b` | `{"c": 1, "d": {}}` | All \\| of it |'
