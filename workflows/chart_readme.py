"""The tables of values in the chart's README, made from its values.yaml by `python -m workflows.chart_readme`.

In values.yaml a comment `# --` above a value says what it is, and `# ===` begins a section. A value without its words
is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

CHART: Final = Path(__file__).parent.parent / "helm" / "soundquarry"
BEGIN: Final = "<!-- values, made by python -m workflows.chart_readme -->"
END: Final = "<!-- end of values -->"
WORDS: Final = "# -- "
SECTION: Final = "# === "


@dataclass(frozen=True)
class ChartValue:
    """One value: its path, its default as JSON, its words, the line it stands in (from 0)."""

    path: str
    default: str
    about: str
    line: int


def chart_values(text: str) -> list[ChartValue]:
    """Every value of a values.yaml, in its order. Raises ValueError for one without words."""
    return list(_values(yaml.compose(text, Loader=yaml.SafeLoader), text.splitlines(), ""))


def values_tables(text: str) -> str:
    """A Markdown table for each section of a values.yaml."""
    lines, written = text.splitlines(), []
    values = chart_values(text)
    starts = [at for at, line in enumerate(lines) if line.startswith(SECTION)]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        rows = ["| value | default | what it is |", "|---|---|---|"]
        for value in values:
            if start < value.line < end:
                default, about = (part.replace("|", "\\|") for part in (value.default, value.about))
                rows.append(f"| `{value.path}` | `{default}` | {about} |")
        written.append("\n".join([f"### {lines[start].removeprefix(SECTION)}", "", *rows]))
    return "\n\n".join(written)


def with_tables(readme: str, values: str) -> str:
    """The README with the tables between its marks replaced."""
    head, rest = readme.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n{values_tables(values)}\n{END}{tail}"


def _values(node: yaml.MappingNode, lines: list[str], path: str) -> Iterator[ChartValue]:
    for key, value in node.value:
        name, line = f"{path}{key.value}", key.start_mark.line
        about = _words_above(lines, line)
        if about:
            default = yaml.SafeLoader("").construct_document(value)
            yield ChartValue(name, json.dumps(default, ensure_ascii=False), about, line)
        elif isinstance(value, yaml.MappingNode) and value.value:
            yield from _values(value, lines, f"{name}.")
        else:
            raise ValueError(f"values.yaml, line {line + 1}: {name} has no words: write '{WORDS}...' above it")


def _words_above(lines: list[str], line: int) -> str:
    """The comment that ends above a line, from its `# --` on; nothing where there is none."""
    start = line
    while start > 0 and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    comment = [text.lstrip() for text in lines[start:line]]
    first = next((at for at, text in enumerate(comment) if text.startswith(WORDS)), len(comment))
    return " ".join(text.removeprefix(WORDS).removeprefix("# ") for text in comment[first:])


def main() -> None:
    """Rewrite the chart's README.md."""
    path = CHART / "README.md"
    values = (CHART / "values.yaml").read_text(encoding="utf-8")
    path.write_text(with_tables(path.read_text(encoding="utf-8"), values), encoding="utf-8")


if __name__ == "__main__":
    main()
