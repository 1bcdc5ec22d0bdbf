"""The demo: a small archive whose truth is known is extracted, without and with the gate, and every stem is scored.

A query is scored only where it is active and the other sounds together are within 5 dB of it: where separation is work.
Absent rows of the dataset are silence; a stem that is missing altogether counts as no improvement.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

Samples = NDArray[np.float32]

MARGIN_DB: Final = 5.0
FRAME_SECONDS: Final = 0.25
ACTIVE_DBFS: Final = -50.0
SCORING_RATE: Final = 32_000  # what stems and truth are brought to before they are compared
MARKER: Final = ".soundquarry-demo"


@dataclass(frozen=True)
class Score:
    """How well one query was separated. `scored_seconds` is how much of it competes with something else."""

    query_id: str
    scored_seconds: float
    mixture_si_sdr_db: float
    si_sdr_db: float | None  # None: no stem where it is scored
    si_sdri_db: float


def read_stem(dataset: Path, query_id: str, *, channels: int, seconds: float, sample_rate: int) -> Samples:
    """The stem of a query over the whole of a dataset's only source: `float32[C, T]` at `sample_rate`, gain undone."""
    import pyarrow.dataset
    import soundfile
    import soxr

    total = round(seconds * sample_rate)
    stem = np.zeros((channels, total), np.float32)
    files = sorted(str(path) for path in (dataset / "stems").glob("*/*.parquet"))
    if not files:
        return stem
    columns = ["start_seconds", "gain_db", "audio"]
    rows = pyarrow.dataset.dataset(files, format="parquet").to_table(
        columns=columns, filter=pyarrow.dataset.field("query_id") == query_id
    )
    for row in rows.to_pylist():
        samples, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32", always_2d=True)
        samples *= 10 ** (-(row["gain_db"] or 0.0) / 20)
        if rate != sample_rate:
            samples = soxr.resample(samples, rate, sample_rate)
        start = round(row["start_seconds"] * sample_rate)
        stop = min(total, start + len(samples))
        stem[:, start:stop] += samples[: stop - start].T
    return stem


def contested(truth: Samples, mixture: Samples, sample_rate: int) -> NDArray[np.bool_]:
    """Per sample: is `truth` active, with the rest of the mixture within `MARGIN_DB` of it? `bool[T]`, in frames."""
    frame = round(FRAME_SECONDS * sample_rate)
    frames = truth.shape[1] // frame

    def level_db(samples: Samples) -> NDArray[np.float64]:
        shaped = samples[:, : frames * frame].astype(np.float64).reshape(samples.shape[0], frames, frame)
        return np.asarray(10 * np.log10(np.square(shaped).mean((0, 2)) + 1e-12))

    target_db, rest_db = level_db(truth), level_db(mixture - truth)
    chosen = (target_db > ACTIVE_DBFS) & (np.abs(target_db - rest_db) <= MARGIN_DB)
    return np.pad(np.repeat(chosen, frame), (0, truth.shape[1] - frames * frame))


def score(query_id: str, stem: Samples, truth: Samples, mixture: Samples, sample_rate: int) -> Score:
    """SI-SDR improvement over `mixture` on the contested samples; all `float32[C, T]`, channels taken as one signal."""
    import torch

    from model.metrics import si_sdr

    where = contested(truth, mixture, sample_rate)
    estimate, reference, mixed = (
        torch.from_numpy(np.ascontiguousarray(signal[:, where], np.float64).reshape(-1))
        for signal in (stem, truth, mixture)
    )
    before = float(si_sdr(mixed, reference)) if where.any() else 0.0
    after = float(si_sdr(estimate, reference)) if estimate.abs().sum() > 0 else None
    return Score(
        query_id=query_id,
        scored_seconds=float(where.sum() / sample_rate),
        mixture_si_sdr_db=before,
        si_sdr_db=after,
        si_sdri_db=0.0 if after is None else after - before,
    )


def score_dataset(dataset: Path, truth: Path, labels: list[str]) -> list[Score]:
    """The scores of every label against `truth/<label>.wav` and `truth/mixture.wav`."""
    mixture, seconds = _read_wav(truth / "mixture.wav")
    scores = []
    for label in labels:
        reference, _ = _read_wav(truth / f"{label}.wav")
        stem = read_stem(dataset, label, channels=len(mixture), seconds=seconds, sample_rate=SCORING_RATE)
        scores.append(score(label, stem, reference, mixture, SCORING_RATE))
    return scores


def mean_si_sdri_db(scores: list[Score]) -> float:
    """The mean over queries that are contested somewhere."""
    return float(np.mean([score.si_sdri_db for score in scores if score.scored_seconds > 0]))


def _read_wav(path: Path) -> tuple[Samples, float]:
    import soundfile
    import soxr

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.ascontiguousarray(soxr.resample(samples, rate, SCORING_RATE).T), len(samples) / rate


def rows_of(dataset: Path, query_id: str) -> int:
    """How many stem rows of a query a dataset holds."""
    import pyarrow.dataset

    files = sorted(str(path) for path in (dataset / "stems").glob("*/*.parquet"))
    if not files:
        return 0
    stems = pyarrow.dataset.dataset(files, format="parquet")
    return int(stems.count_rows(filter=pyarrow.dataset.field("query_id") == query_id))


def run_demo(out: Path, *, model: str | None, seed: int, minimum_db: float, console: Console) -> int:
    """Synthesise, extract twice, score, print. Returns the exit code: 0 when both means reach `minimum_db`."""
    from workflows.demo_sounds import ABSENT, compose, write_scene

    _make_room(out)
    console.rule("1  one minute of known sounds")
    began = time.monotonic()
    scene = compose(seed)
    video = write_scene(scene, out)
    labels = list(scene.stems)
    console.print(f"{video} and its truth, {len(scene.clips)} clips of {len(labels)} sounds, in {_since(began)}")

    results: dict[str, list[Score]] = {}
    for number, (name, options) in enumerate([("without_gate", ["--no-gate"]), ("with_gate", [])], start=2):
        dataset = out / name
        console.rule(f"{number}  extract {name.replace('_', ' the ')}")
        command = [_soundquarry(), "extract", str(video), "--catalog", str(out / "catalog.yaml"), "--out", str(dataset)]
        command += options + (["--model", model] if model else [])
        console.print("$ " + " ".join(command), soft_wrap=True, highlight=False)
        began = time.monotonic()
        code = subprocess.run(command, check=False).returncode
        if code != 0:
            console.print(f"extract ended with exit code {code}; its message stands above", style="red")
            return 1
        console.print(f"{name}: done in {_since(began)}")
        results[name] = score_dataset(dataset, out / "truth", labels)

    console.rule("4  improvement over the mixture")
    console.print(_table(results))
    for label in ABSENT:
        found = rows_of(out / "with_gate", label)
        console.print(
            f"not in the archive: {label}: {found} stem rows with the gate" + (" (as it should be)" * (not found))
        )
    means = {name: mean_si_sdri_db(scores) for name, scores in results.items()}
    content = {"mean_si_sdri_db": means, "scores": {n: [asdict(s) for s in scores] for n, scores in results.items()}}
    (out / "scores.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    console.print("\nopen these:")
    for path, what in (
        (out / "with_gate" / "report.html", "what was found, to look at and listen to"),
        (out / "without_gate" / "report.html", "the same without the gate"),
        (out / "truth", "the truth, one file per sound"),
        (video, "the archive"),
    ):
        console.print(f"  {path}   {what}", soft_wrap=True, highlight=False)
    if min(means.values()) < minimum_db:
        console.print(f"a mean is below the {minimum_db:g} dB that the default model should reach", style="red")
        return 1
    return 0


def _table(results: dict[str, list[Score]]) -> Table:
    table = Table(caption=f"where another sound is within {MARGIN_DB:g} dB of the target; higher is better")
    for column in ("query", "scored s", "mixture SI-SDR dB"):
        table.add_column(column, justify="left" if column == "query" else "right")
    for name in results:
        table.add_column(f"{name.replace('_', ' ')}: improvement dB", justify="right")
    for rows in zip(*results.values(), strict=True):
        first = rows[0]
        cells = ["missed" if row.si_sdr_db is None else f"{row.si_sdri_db:+.1f}" for row in rows]
        table.add_row(first.query_id, f"{first.scored_seconds:.1f}", f"{first.mixture_si_sdr_db:+.1f}", *cells)
    table.add_section()
    table.add_row("mean", "", "", *(f"{mean_si_sdri_db(scores):+.2f}" for scores in results.values()), style="bold")
    return table


def _make_room(out: Path) -> None:
    """An empty folder for this demo; what an earlier demo left is removed, anything else is left alone."""
    if out.exists() and any(out.iterdir()) and not (out / MARKER).exists():
        raise typer.BadParameter(f"{out} is not empty and not of an earlier demo: name another folder with --out")
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / MARKER).touch()


def _soundquarry() -> str:
    command = Path(sys.executable).with_name("soundquarry")
    return str(command) if command.exists() else "soundquarry"


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.1f} s"


def main(
    out: Annotated[Path, typer.Option(help="folder for the archive, the truth and both datasets")] = Path("demo_out"),
    model: Annotated[str | None, typer.Option(help="model name or path, as for extract; default: its default")] = None,
    seed: Annotated[int, typer.Option(help="another seed draws other sounds")] = 0,
    minimum_db: Annotated[float, typer.Option(help="mean improvement below which the exit code is 1")] = 6.0,
) -> None:
    """Extract a one-minute archive of known sounds and score every stem against the truth."""
    raise typer.Exit(run_demo(out, model=model, seed=seed, minimum_db=minimum_db, console=Console()))


if __name__ == "__main__":
    typer.run(main)
