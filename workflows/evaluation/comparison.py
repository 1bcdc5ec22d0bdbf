"""Two evaluations of one list: what the second gains over the first, mixture by mixture.

The bootstrap is paired: differences of the same mixture are resampled, so that hard and easy mixtures do not blur what
two models differ by.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from workflows.evaluation.mixtures import ListError
from workflows.evaluation.rows import METRICS
from workflows.evaluation.summary import mean_of

ASKED: Final = ("model", "model_signature", "query", "negative", "precision")
"""What is told of both sides."""


def compare(first: Path, second: Path) -> dict[str, Any]:
    """Per metric that both have: the mean difference (second minus first), its interval, the share of mixtures that
    the second does better. Raises ListError for files that are no results, or of different lists."""
    results = [_read(path) for path in (first, second)]
    _check_same(first, second, results)
    sides = [{row["row"]: row for row in result["rows"]} for result in results]
    metrics: dict[str, Any] = {}
    for name in (*METRICS, "absent_below_db"):
        pairs = [
            (one[name], other[name])
            for place, one in sides[0].items()
            if one.get(name) is not None and (other := sides[1][place]).get(name) is not None
        ]
        if not pairs:
            continue
        differences = [other - one for one, other in pairs]
        told = mean_of(differences)
        metrics[name] = {
            "n": len(pairs),
            "left_out": len(sides[0]) - len(pairs),
            "first": round(sum(one for one, _ in pairs) / len(pairs), 3),
            "second": round(sum(other for _, other in pairs) / len(pairs), 3),
            "difference": round(told.value, 3),
            "interval": [round(told.low, 3), round(told.high, 3)],
            "share_better": round(sum(difference > 0 for difference in differences) / len(pairs), 3),
        }
    if not metrics:
        raise ListError(f"{first} and {second} have no metric in common; evaluate both with the same options")
    asked = {side: {name: result.get(name) for name in ASKED} for side, result in zip(SIDES, results, strict=True)}
    return {"list": results[0]["list"], **asked, "metrics": metrics}


SIDES: Final = ("first", "second")


def _read(path: Path) -> dict[str, Any]:
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ListError(f"no result at {path}; make one with soundquarry evaluate ... --out {path}") from None
    except ValueError as error:
        raise ListError(f"{path} is no JSON ({error}); give what soundquarry evaluate wrote with --out") from None
    if not isinstance(result, dict) or not {"rows", "list"} <= set(result):
        raise ListError(f"{path} is no result of this version of soundquarry evaluate --out; evaluate again")
    return result


def _check_same(first: Path, second: Path, results: list[dict[str, Any]]) -> None:
    """Raises ListError unless both are about the same mixtures."""
    lists = [result["list"] for result in results]
    for name in ("sha256", "mixing"):
        if lists[0][name] != lists[1][name]:
            raise ListError(
                f"{first} and {second} are of different lists: {name} is {lists[0][name]} of {lists[0]['path']}, and "
                f"{lists[1][name]} of {lists[1]['path']}; evaluate both on one list"
            )
    keys = [[(row["row"], row["caption"], row["target"]) for row in result["rows"]] for result in results]
    if keys[0] != keys[1]:
        raise ListError(
            f"{first} has {len(keys[0])} mixtures, {second} has {len(keys[1])}, not the same ones; evaluate both with "
            "the same --limit"
        )
