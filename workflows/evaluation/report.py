"""What is told of an evaluation: the result as JSON, its rows as CSV, its tables on the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from workflows.evaluation.rows import BSS, METRICS, RowScores
from workflows.evaluation.summary import ABSENT_ENOUGH_DB, by_class, summarise

if TYPE_CHECKING:  # it brings torch, and a comparison needs none
    from workflows.evaluate import Evaluation

DIGITS: Final = 4
MOST_CLASSES: Final = 60
"""Classes that the terminal shows; the result has all of them."""
IMPROVEMENTS: Final = ("snr_sdri_db", "si_sdri_db")
"""What the terminal shows of a class: all that fits into 80 columns beside its name."""
MOST_TOLD: Final = 10
HOW: Final = {"mean": "all mixtures", "class_means": "mean of class means", "class_medians": "mean of class medians"}


def result_of(done: Evaluation, unseen: frozenset[str] | None = None) -> dict[str, Any]:
    """Everything about an evaluation, as JSON. `unseen`: labels whose rows are summed up apart."""
    rows, listed = done.rows, done.listed
    result: dict[str, Any] = {
        **summarise(rows),
        "errors": sum(row.error is not None for row in rows),
        "unscored": sum(row.unscored is not None for row in rows),
        "list": {
            "path": str(listed.path),
            "sha256": listed.sha256,
            "format": listed.format,
            "mixing": listed.mixtures[0].rule.about,
        },
        "model": done.model,
        "model_signature": done.model_signature,
        "device": done.device,
        "precision": done.precision,
        "query": done.asking.query,
        "negative": done.asking.negative,
        "as_published": {"aggregation": listed.aggregation, **summarise(rows, listed.aggregation)},
        "classes": by_class(rows),
        "rows": [_rounded(row) for row in rows],
    }
    if unseen is not None:
        result["seen"] = summarise([row for row in rows if row.target_label not in unseen])
        result["unseen"] = summarise([row for row in rows if row.target_label in unseen])
    return result


def rows_as_csv(rows: Sequence[RowScores]) -> str:
    """The rows, one line each, under the names that the result has."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [field.name for field in fields(RowScores)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rounded(row) for row in rows)
    return text.getvalue()


def tables_of(result: Mapping[str, Any], published: Sequence[str]) -> Group:
    """The result for people: all mixtures, parts of them, classes, and what could not be scored."""
    listed, told = result["list"], result["as_published"]
    parts = [("all mixtures", result)]
    if told["aggregation"] != "mean":
        parts.append((HOW[told["aggregation"]], told))
    parts += [(name, result[name]) for name in ("seen", "unseen") if result.get(name, {}).get("n")]
    shown: list[Any] = [
        Text(f"{listed['path']}: a list of the kind {listed['format']}, mixed {listed['mixing']}"),
        _metrics(parts),
    ]
    classes = list(result["classes"].items())
    if 1 < len(classes) <= MOST_CLASSES:
        shown.append(_classes(classes))
    elif classes[MOST_CLASSES:]:
        shown.append(Text(f"{len(classes)} classes, too many to show; --out FILE.json has them all"))
    if "absent_below_db" in result:
        level, share = f"{result['absent_below_db']:.1f} dB", f"{result['absent_share']:.0%}"
        shown.append(
            Text(
                f"asked for what is not there ({result['n_absent']} mixtures): {level} below the mixture, {share} at "
                f"least {ABSENT_ENOUGH_DB:g} dB"
            )
        )
    missing = [name for name in published if name not in result and name in BSS]
    if missing:
        shown.append(Text(f"the authors of this kind of list tell {', '.join(missing)}: add --bss"))
    for name, what in (("unscored", "not scored"), ("error", "failed")):
        rows = [row for row in result["rows"] if row[name] is not None]
        shown += [Text(f"line {row['line']} {what}: {row[name]}") for row in rows[:MOST_TOLD]]
        if rows[MOST_TOLD:]:
            shown.append(Text(f"and {len(rows) - MOST_TOLD} more {what}"))
    return Group(*shown)


def comparison_table(told: Mapping[str, Any]) -> Group:
    """What two evaluations differ by, for people."""
    table = Table()
    for column in ("metric", "n", "first", "second", "difference", "95 %", "second is better"):
        table.add_column(column, justify="left" if column == "metric" else "right")
    for name, metric in told["metrics"].items():
        low, high = metric["interval"]
        table.add_row(
            name, str(metric["n"]), f"{metric['first']:.2f}", f"{metric['second']:.2f}",
            f"{metric['difference']:+.2f}", f"{low:+.2f} to {high:+.2f}", f"{metric['share_better']:.0%}",
        )  # fmt: skip
    sides = [
        Text(f"{side}: " + ", ".join(f"{name} {value}" for name, value in told[side].items()))
        for side in ("first", "second")
    ]
    left_out = max(metric["left_out"] for metric in told["metrics"].values())
    words = [Text(f"up to {left_out} mixtures left out: not scored on both sides")] if left_out else []
    return Group(*sides, table, *words)


def _metrics(parts: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    """One line per metric that is there, one column per part, with the number of mixtures."""
    table = Table()
    table.add_column("dB", no_wrap=True)
    for name, part in parts:
        table.add_column(f"{name} ({part['n']})", justify="right")
    for metric in METRICS:
        if any(metric in part for _, part in parts):
            table.add_row(metric, *(_cell(part, metric) for _, part in parts))
    return table


def _classes(classes: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    """One line per class; of the metrics, the improvements."""
    names = [name for name in IMPROVEMENTS if any(name in part for _, part in classes)]
    table = Table()
    table.add_column("class", overflow="fold")
    for name in ("n", *names):
        table.add_column(name, justify="right", no_wrap=True)
    for label, part in classes:
        table.add_row(label, str(part["n"]), *(_cell(part, name) for name in names))
    return table


def _cell(part: Mapping[str, Any], name: str) -> str:
    if name not in part:
        return "-"
    low, high = part[f"{name}_interval"]
    return f"{part[name]:.2f}" + ("" if part["n"] < 2 else f" [{low:.2f}, {high:.2f}]")


def _rounded(row: RowScores) -> dict[str, Any]:
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in asdict(row).items()}
