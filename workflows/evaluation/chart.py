"""The picture of an evaluation: one bar per class with its 95 % interval, the best on top. Written whole
or not at all.

matplotlib draws it, and is wanted for nothing else here: it comes with the extra `train`.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Mapping
from math import nan
from pathlib import Path
from typing import Any, Final

from operators.whole_file import write_whole

METRIC: Final = "snr_sdri_db"
BAR_INCHES: Final = 0.22
MOST_BARS: Final = 200
"""Classes that are drawn; of more, the worst half and the best. A picture of 2,500 is beyond matplotlib's pixels."""
SUFFIXES: Final = (".png", ".svg", ".pdf")


class ChartError(ValueError):
    """No picture can be drawn; the message says what to do."""


def check_chart(path: Path) -> None:
    """Raises ChartError, before anything is computed, where matplotlib or the file's kind is missing."""
    if path.suffix.lower() not in SUFFIXES:
        raise ChartError(f"--plot {path}: give a name that ends in {' or '.join(SUFFIXES)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise ChartError("--plot needs matplotlib, which is not here: pip install 'soundquarry[train]'")


def draw_chart(result: Mapping[str, Any], path: Path) -> None:
    """Write the picture of a result (see `report.result_of`) to a file."""
    from matplotlib.figure import Figure

    bars = {label: part for label, part in result["classes"].items() if METRIC in part}
    ordered = sorted(bars.items(), key=lambda item: item[1][METRIC])
    left_out = max(0, len(ordered) - MOST_BARS)
    if left_out:
        ordered = ordered[: MOST_BARS // 2] + ordered[-(MOST_BARS - MOST_BARS // 2) :]
    bars = dict(ordered) | {"all mixtures": result}
    names, parts = list(bars), [part for part in bars.values() if METRIC in part]
    if not parts:
        raise ChartError(f"--plot {path}: no mixture was scored, there is nothing to draw")
    values = [part[METRIC] for part in parts]
    lows, highs = zip(*(part[f"{METRIC}_interval"] for part in parts), strict=True)
    figure = Figure(figsize=(7.0, 1.2 + BAR_INCHES * len(names)), layout="constrained")
    axes = figure.add_subplot()
    alone = [part["n"] < 2 for part in parts]  # nothing is known of how one would vary
    errors = [
        [nan if one else max(0.0, value - low) for value, low, one in zip(values, lows, alone, strict=True)],
        [nan if one else max(0.0, high - value) for value, high, one in zip(values, highs, alone, strict=True)],
    ]
    colours = ["tab:blue"] * (len(names) - 1) + ["tab:gray"]
    axes.barh([f"{name} ({part['n']})" for name, part in bars.items()], values, xerr=errors, color=colours, capsize=2)
    axes.axvline(0.0, color="black", linewidth=0.8)
    of_many = f"\nthe worst and the best {MOST_BARS // 2}, {left_out} classes between them left out" if left_out else ""
    axes.set_xlabel(f"{METRIC}: improvement over the mixture, 95 % intervals{of_many}")
    axes.set_title(f"{result['model_signature']} on {Path(result['list']['path']).name}", fontsize="medium")
    axes.margins(y=0.01)
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix.lower().lstrip("."), dpi=120)
    write_whole(path, picture.getvalue())
