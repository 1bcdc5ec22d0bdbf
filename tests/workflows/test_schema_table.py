"""The README tells the truth about the columns."""

from __future__ import annotations

from pathlib import Path

from operators.schema import STEM_SCHEMA
from workflows.schema_table import stem_columns_table, with_table

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_has_the_table_of_the_schema() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_table(text) == text, "run: python -m workflows.schema_table"


def test_the_table_has_a_row_for_every_column_with_its_meaning() -> None:
    table = stem_columns_table()
    assert table.count("\n") == len(STEM_SCHEMA) + 1
    assert all(column.metadata[b"description"].decode() in table for column in STEM_SCHEMA)
