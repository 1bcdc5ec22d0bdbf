"""The README's table of columns, made from the schema in code: `python -m workflows.schema_table` writes it anew."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from operators.schema import STEM_SCHEMA

BEGIN: Final = "<!-- columns of a stem row, made by python -m workflows.schema_table -->"
END: Final = "<!-- end of columns -->"


def stem_columns_table() -> str:
    """A Markdown table of name, type and meaning, one row per column of a stem file."""
    rows = ["| column | type | meaning |", "|---|---|---|"]
    for column in STEM_SCHEMA:
        kind = str(column.type).replace("element: ", "").replace("item: ", "").replace("|", "\\|")
        rows.append(f"| `{column.name}` | {kind} | {column.metadata[b'description'].decode()} |")
    return "\n".join(rows)


def with_table(readme: str) -> str:
    """The README with the table between its marks replaced."""
    head, rest = readme.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n{stem_columns_table()}\n{END}{tail}"


def main() -> None:
    """Rewrite README.md in the current folder."""
    path = Path("README.md")
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
