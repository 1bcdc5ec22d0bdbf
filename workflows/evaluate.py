"""Evaluate: separation quality on a list of two-source mixtures.

A list is a CSV with `target_path, noise_path, snr_db, caption` (and `negative_caption, target_label` if there are
any). The mixture is made on the fly by the rule of `model.mixing.mix_at_snr`; improvements are over the mixture itself.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
import soxr
import torch

from model.checkpoint import Model
from model.conditions import Query, condition_of
from model.metrics import bss_sdr, improvement, si_sdr, snr_sdr
from model.mixing import Audio, mix_at_snr
from model.registry import load_model
from model.separator import Condition
from operators.stem_engine import Coverage, Precision, StemEngine
from workflows.device import device_here

REQUIRED: Final = ("target_path", "noise_path", "snr_db", "caption")
BATCH: Final = 8


class ListError(ValueError):
    """The list cannot be used; the message names the file, the row and the column."""


@dataclass(frozen=True)
class EvaluationRow:
    """Scores of one mixture, in dB."""

    row: int
    caption: str
    target_label: str
    sdri_db: float
    si_sdri_db: float
    si_sdr_db: float
    bss_sdri_db: float | None


@dataclass(frozen=True)
class Evaluation:
    """Scores of every row, in the order of the list, and what they were made by."""

    rows: list[EvaluationRow]
    model_signature: str
    device: str
    precision: str
    """What the network computed in: float32 or bfloat16."""


def evaluate(
    list_csv: Path,
    root: Path,
    model_name: str = "mini",
    *,
    device: str = "auto",
    precision: Precision = "auto",
    negative: bool = False,
    bss: bool = False,
    limit: int | None = None,
) -> Evaluation:
    """Scores of the list. `negative` gives the network the row's negative caption too; `bss` adds BSS-eval SDR.

    `device` and `precision` as in `extract`; raises DeviceError and PrecisionError for what cannot be had.
    """
    rows = read_list(list_csv, root)[:limit]
    device, model = device_here(device), load_model(model_name)
    chosen = str(model.separator.precision(precision, device)).removeprefix("torch.")
    scored: list[EvaluationRow] = []
    for at in range(0, len(rows), BATCH):
        scored += _score(
            model, rows[at : at + BATCH], root, at, device=device, precision=precision, negative=negative, bss=bss
        )
    return Evaluation(scored, model.signature, device, chosen)


def read_list(list_csv: Path, root: Path) -> list[dict[str, str]]:
    """Rows of the list, checked: columns, numbers, files. Raises ListError."""
    if not list_csv.is_file():
        raise ListError(f"no list at {list_csv}; give a CSV with the columns {', '.join(REQUIRED)}")
    rows = list(csv.DictReader(list_csv.read_text(encoding="utf-8").splitlines()))
    if not rows:
        raise ListError(f"{list_csv} has no rows")
    missing = [name for name in REQUIRED if name not in rows[0]]
    if missing:
        raise ListError(f"{list_csv} lacks the columns {', '.join(missing)}; it has {', '.join(rows[0])}")
    for number, row in enumerate(rows, start=2):
        try:
            float(row["snr_db"])
        except ValueError:
            raise ListError(f"{list_csv}, line {number}: snr_db is {row['snr_db']!r}, expected a number") from None
        for name in ("target_path", "noise_path"):
            if not (root / row[name]).is_file():
                raise ListError(f"{list_csv}, line {number}: no file {root / row[name]}; check --root")
    return rows


@torch.inference_mode()
def _score(
    model: Model,
    rows: Sequence[dict[str, str]],
    root: Path,
    first: int,
    *,
    device: str,
    precision: Precision,
    negative: bool,
    bss: bool,
) -> list[EvaluationRow]:
    rate = model.separator.sample_rate
    mixed = []
    for row in rows:
        target, noise = read_mono(root / row["target_path"], rate), read_mono(root / row["noise_path"], rate)
        length = max(len(target), len(noise))
        mixed.append(mix_at_snr(_padded(target, length), _padded(noise, length), float(row["snr_db"])))
    queries = [
        Query(
            texts=[row["caption"]],
            negative_texts=[row["negative_caption"]] if negative and row.get("negative_caption") else [],
        )
        for row in rows
    ]
    condition = condition_of(queries, model.clap, model.gate_clap)
    stems = [
        separate_short(model, torch.from_numpy(mixture), condition.select(torch.tensor([i])), device, precision)
        for i, (_, _, mixture) in enumerate(mixed)
    ]
    scored = []
    for i, (row, (target, _, mixture)) in enumerate(zip(rows, mixed, strict=True)):
        reference, heard, stem = torch.from_numpy(target), torch.from_numpy(mixture), stems[i]
        scored.append(
            EvaluationRow(
                row=first + i,
                caption=row["caption"],
                target_label=row.get("target_label", ""),
                sdri_db=float(improvement(snr_sdr, stem, reference, heard)),
                si_sdri_db=float(improvement(si_sdr, stem, reference, heard)),
                si_sdr_db=float(si_sdr(stem, reference)),
                bss_sdri_db=float(improvement(bss_sdr, stem, reference, heard)) if bss else None,
            )
        )
    return scored


def separate_short(
    model: Model, mixture: torch.Tensor, condition: Condition, device: str = "cpu", precision: Precision = "auto"
) -> torch.Tensor:
    """The stem [T] of one mono mixture [T], by the windows, gate open and cross-fade of the pipeline."""
    engine = StemEngine(model, condition, [0.0], gate=False, device=device, precision=precision)
    stem = np.zeros(len(mixture), np.float32)
    samples = mixture.numpy()[None]
    for stretch in engine.stretches(samples, 0, 0, len(mixture), Coverage()):
        stem[stretch.start : stretch.start + stretch.stem.shape[1]] = stretch.stem[0]
    return torch.from_numpy(stem)


def bootstrap_interval(values: Sequence[float], *, draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean, by resampling the rows."""
    array = np.asarray(values, dtype=np.float64)
    generator = np.random.default_rng(seed)
    means = array[generator.integers(0, len(array), size=(draws, len(array)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def summarise(rows: Sequence[EvaluationRow]) -> dict[str, Any]:
    """`n, sdri_db, si_sdri_db` with their 95 % intervals."""
    if not rows:
        return {"n": 0}
    summary: dict[str, Any] = {"n": len(rows)}
    for name in ("sdri_db", "si_sdri_db"):
        values = [getattr(row, name) for row in rows]
        low, high = bootstrap_interval(values)
        summary[name] = round(float(np.mean(values)), 3)
        summary[f"{name}_interval"] = [round(low, 3), round(high, 3)]
    return summary


def read_mono(path: Path, rate: int) -> Audio:
    """The file's channels averaged, float32 [T] at `rate`."""
    sound, own = soundfile.read(path, dtype="float32", always_2d=True)
    mono: Audio = np.ascontiguousarray(sound.mean(axis=1), dtype=np.float32)
    return mono if own == rate else soxr.resample(mono, own, rate).astype(np.float32)


def _padded(sound: Audio, length: int) -> Audio:
    return np.pad(sound, (0, length - len(sound)))
