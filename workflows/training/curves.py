"""The curve of a run as files: JSON lines, a picture, and TensorBoard events."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from model.training.training_state import Row
from operators.whole_file import place, write_whole

CURVE_FILE: Final = "curve.jsonl"
PICTURE_FILE: Final = "curves.png"
EVENTS_FOLDER: Final = "tensorboard"
NOT_DRAWN: Final = frozenset({"step"})
COLUMNS: Final = 3


def write_curves(rows: Sequence[Row], out: str) -> None:
    """`OUT/curve.jsonl`, `OUT/curves.png` and `OUT/tensorboard`, in place of earlier ones."""
    root = place(out)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    write_whole((root / CURVE_FILE).uri, lines.encode())
    if rows:
        write_whole((root / PICTURE_FILE).uri, picture(rows))
        _write_events(rows, out)


def picture(rows: Sequence[Row]) -> bytes:
    """One panel for every term of the curve, over the steps, as PNG."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for row in rows for name in row if name not in NOT_DRAWN))
    height = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(4.0 * COLUMNS, 2.4 * height), layout="constrained")
    panels = figure.subplots(height, COLUMNS, squeeze=False).flat
    for name, panel in zip(names, panels, strict=False):
        told = [(row["step"], row[name]) for row in rows if name in row]
        panel.plot(*zip(*told, strict=True), linewidth=1.2, marker="." if len(told) < 30 else None)
        panel.set_title(name.replace("_", " "), fontsize=9)
        panel.set_xlabel("step", fontsize=8)
        panel.grid(alpha=0.3)
    for panel in list(panels):
        panel.set_axis_off()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def _write_events(rows: Sequence[Row], out: str) -> None:
    """One file of events, always the same name, so that it replaces that of a run which went on."""
    from tensorboardX import SummaryWriter

    with tempfile.TemporaryDirectory() as folder:
        with SummaryWriter(folder) as writer:
            for row in rows:
                for name, value in row.items():
                    if name != "step":
                        writer.add_scalar(name, value, int(row["step"]))
        (events,) = Path(folder).iterdir()
        write_whole((place(out) / EVENTS_FOLDER / "events.out.tfevents.1.soundquarry").uri, events.read_bytes())
