"""The picture of an evaluation: one bar per class with its 95 % interval, the best on top.

matplotlib draws it, and is wanted for nothing else here: it comes with the extra `train`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

METRIC: Final = "snr_sdri_db"
BAR_INCHES: Final = 0.22
SUFFIXES: Final = (".png", ".svg", ".pdf")


class ChartError(ValueError):
    """No picture can be drawn; the message says what to do."""


def check_chart(path: Path) -> None:
    """Raises ChartError, before anything is computed, where matplotlib or the file's kind is missing."""
    if path.suffix not in SUFFIXES:
        raise ChartError(f"--plot {path}: give a name that ends in {' or '.join(SUFFIXES)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise ChartError("--plot needs matplotlib, which is not here: pip install 'soundquarry[train]'")


def draw_chart(result: Mapping[str, Any], path: Path) -> None:
    """Write the picture of a result (see `report.result_of`) to a file."""
    from matplotlib.figure import Figure

    bars = {label: part for label, part in result["classes"].items() if METRIC in part}
    bars = dict(sorted(bars.items(), key=lambda item: item[1][METRIC])) | {"all mixtures": result}
    names, parts = list(bars), [part for part in bars.values() if METRIC in part]
    if not parts:
        raise ChartError(f"--plot {path}: no mixture was scored, there is nothing to draw")
    values = [part[METRIC] for part in parts]
    lows, highs = zip(*(part[f"{METRIC}_interval"] for part in parts), strict=True)
    figure = Figure(figsize=(7.0, 1.2 + BAR_INCHES * len(names)), layout="constrained")
    axes = figure.add_subplot()
    errors = [
        [max(0.0, value - low) for value, low in zip(values, lows, strict=True)],
        [max(0.0, high - value) for value, high in zip(values, highs, strict=True)],
    ]
    colours = ["tab:blue"] * (len(names) - 1) + ["tab:gray"]
    axes.barh([f"{name} ({part['n']})" for name, part in bars.items()], values, xerr=errors, color=colours, capsize=2)
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.set_xlabel(f"{METRIC}: improvement over the mixture, 95 % intervals")
    axes.set_title(f"{result['model_signature']} on {Path(result['list']['path']).name}", fontsize="medium")
    axes.margins(y=0.01)
    figure.savefig(path, dpi=120)
