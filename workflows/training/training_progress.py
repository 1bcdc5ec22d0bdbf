"""How a training is doing, as one line a person can read, or one JSON object per row with `--json`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from typing import Final

from rich.console import Console

from model.training.training_state import Row
from workflows.live_line import LiveLine
from workflows.progress import clock

TOLD: Final = ("loss", "snr_db", "si_sdri_db", "unsupervised", "consistency", "contrastive", "presence")
"""Terms of a row that its line tells, where it has them."""

MOST_NAMED: Final = 5


@dataclass(frozen=True)
class TrainSummary:
    """How a training ended. `score` is the best validation's SI-SDR improvement in dB."""

    model: str
    steps: int
    score: float | None
    clips: int
    labels: int
    left_out: dict[str, int]
    unreadable: list[tuple[str, str]]
    seconds: float
    done_before: bool = False
    """All of its steps were there already."""


class TrainingProgress:
    """`start`, then `advance` with every row of the curve, then `stop`."""

    def __init__(self, steps: int, *, as_json: bool) -> None:
        self.steps, self.as_json = steps, as_json
        self._line = LiveLine(Console())
        self._validation = ""
        self._best: float | None = None

    def start(self, what: str) -> None:
        """Say what is going on before the first step."""
        if not self.as_json:
            self._line.start(what)

    def advance(self, row: Row) -> None:
        """A row came."""
        if self.as_json:
            print(json.dumps({"event": "row", **row}), file=sys.stdout, flush=True)
            return
        if (score := row.get("validation_score")) is not None:
            self._best = score if self._best is None else max(self._best, score)
            self._validation = f", validation SI-SDRi {score:.2f} dB (best {self._best:.2f})"
        self._line.show(row["step"] / self.steps, self.describe(row), last=row["step"] == self.steps)

    def describe(self, row: Row) -> str:
        """One line: `step 1,200/10,000, loss -8.310, 0.42 s a step (3 % waiting), ..., 1 h 02 min left`."""
        seconds = row["seconds_per_step"]
        terms = ", ".join(f"{name.removesuffix('_db')} {row[name]:.3f}" for name in TOLD if name in row)
        left = clock((self.steps - row["step"]) * seconds)
        return (
            f"step {row['step']:,.0f}/{self.steps:,}, {terms}, {seconds:.2f} s a step "
            f"({row.get('waiting', 0.0):.0%} waiting){self._validation}, {left} left"
        )

    def stop(self) -> None:
        """The terminal is as it was found."""
        self._line.stop()


def print_summary(summary: TrainSummary, *, as_json: bool) -> None:
    """What came out, and what was left out."""
    if as_json:
        print(json.dumps({"event": "done", **asdict(summary)}))
        return
    trained = f"{summary.steps:,} steps on {summary.clips:,} clips of {summary.labels:,} labels"
    if summary.done_before:
        print(f"{trained} were done before; --set schedule.steps=N with a larger N goes on")
    else:
        print(f"{trained} in {clock(summary.seconds)}")
    for why, count in summary.left_out.items():
        print(f"left out for their {why}: {count:,} clips")
    for uri, message in summary.unreadable[:MOST_NAMED]:
        print(f"left out, {message}: {uri}")
    if len(summary.unreadable) > MOST_NAMED:
        print(f"left out as well: {len(summary.unreadable) - MOST_NAMED:,} unreadable clips, all named in run.json")
    score = "" if summary.score is None else f" (validation SI-SDRi {summary.score:.2f} dB)"
    print(f"{summary.model}{score}")
