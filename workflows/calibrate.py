"""Presence as a probability, and default thresholds, from a development list.

    python -m workflows.calibrate LIST.csv --root DIR --model FILE.safetensors [--plot FILE.png] [--write]

Every mixture of the list is scored against the caption of its target, of its noise, and one caption of every other
label of the list. Log odds of presence are put on the line that makes them probabilities among such pairs, of which few
are true. The gate's threshold is the highest that keeps the wanted share of true pairs; the event threshold gives the
best F1 per tenth of a second. With `--write` the checkpoint is replaced.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from model.checkpoint import Calibration, Model, save_checkpoint
from model.compact_clapsep import CompactCLAPSep
from model.conditions import Query, condition_of
from model.probability import Floats, Platt, ReliabilityBin, Truth, brier_score, fit_platt, reliability
from model.registry import load_model
from model.weights_file import CheckpointError
from operators.event_spans import BELOW_MIXTURE_DB, BINS_PER_SECOND, FLOOR_DBFS, level_per_bin, to_bins
from operators.whole_file import write_whole
from workflows.evaluation.lists import read_list
from workflows.evaluation.mixtures import ListError, Mixture
from workflows.evaluation.sounds import MixedSounds, mixed_sounds
from workflows.label_file import held_out_labels


@dataclass(frozen=True)
class MixtureScores:
    """Log odds of one mixture for all labels: of presence [Q], of activity [Q, N']; and what is true: which labels are
    there [Q], and sound in which tenth of a second [Q, bins]."""

    presence: Floats
    activity: Floats
    is_there: Truth
    is_active: Truth


def main() -> None:
    """Print what the line and the thresholds cost and bring, and write them."""
    arguments = _arguments()
    if arguments.write and not Path(arguments.model).is_file():
        raise SystemExit(f"--write replaces a checkpoint, and {arguments.model} is no path of one")
    try:
        model, rows = _model(arguments.model), _rows(arguments)
        scores = scores_of(model, rows)
        said, true = crossed(scores)
        line = fit_platt(*presences(scores))
    except (CheckpointError, ListError, OSError, ValueError) as error:
        raise SystemExit(f"{arguments.model} cannot be calibrated on {arguments.list_csv}: {error}") from error
    network = model.separator
    assert isinstance(network, CompactCLAPSep)
    odds, is_there = presences(scores)
    brier, base = brier_score(said, true), float(true.mean())
    print(f"{len(rows)} mixtures, {is_there.sum()} true and {(~is_there).sum()} false pairs")
    print(
        f"Brier score {brier:.4f} on mixtures that the line was not fitted to (as it was: "
        f"{brier_score(expit(odds), is_there):.4f}; always saying {base:.1%}: {base * (1 - base):.4f})"
    )
    for part in reliability(said, true):
        print(f"  said {part.said:5.1%}, true {part.true:5.1%} of {part.count}")
    if arguments.plot:
        write_whole(arguments.plot, picture(reliability(said, true)))
    print(f"line  {line.slope:.3f} * log odds {line.shift:+.3f}")
    gate = rounded_down(float(np.quantile(line(odds)[is_there], 1.0 - arguments.recall)))
    kept, skipped = float((line(odds)[is_there] >= gate).mean()), float((line(odds)[~is_there] < gate).mean())
    print(f"gate  threshold {gate}: keeps {kept:.1%} of the true pairs, skips {skipped:.1%} of the false ones")
    threshold, f1 = best_f1(*activities(scores, line, network))
    event = rounded_down(threshold)
    print(f"event threshold {event}: F1 {f1:.3f} per tenth of a second")
    if arguments.write:
        network.shift_presence(line.slope, line.shift)
        told = {"list": arguments.list_csv.name, "mixtures": len(rows), "brier_score": round(brier, 4), "base": base}
        save_checkpoint(
            Path(arguments.model),
            separator=network,
            clap=model.clap,
            calibration=Calibration(gate, event),
            provenance={**model.provenance, "calibrated_on": told},
        )


def _model(name_or_path: str) -> Model:
    model = load_model(name_or_path)
    if not isinstance(model.separator, CompactCLAPSep):
        raise ValueError("it tells presence by another model; calibrate that one")
    return model


def _rows(arguments: argparse.Namespace) -> list[Mixture]:
    unseen = held_out_labels(arguments.unseen) if arguments.unseen else frozenset()
    mixtures = read_list(arguments.list_csv, arguments.root).mixtures
    rows = [row for row in mixtures if row.label not in unseen and row.noise_label not in unseen]
    if len(rows) < 2:
        raise ValueError(f"two mixtures at least are needed, and {len(rows)} of {len(mixtures)} have no unseen label")
    return rows


@torch.inference_mode()
def scores_of(model: Model, rows: Sequence[Mixture]) -> list[MixtureScores]:
    """Scores of every mixture for every label of the list."""
    captions = {row.label: row.caption for row in rows} | {row.noise_label: row.negative_caption for row in rows}
    labels = sorted(captions)
    network, rate = model.separator, model.separator.sample_rate
    assert isinstance(network, CompactCLAPSep)
    scores = []
    for row in rows:
        sounds = mixed_sounds(row, rate)
        if sounds.sample_rate != rate:
            raise ValueError(f"the list is mixed at {sounds.sample_rate} Hz, and the model hears {rate} Hz")
        words = captions | {row.label: row.caption, row.noise_label: row.negative_caption}
        condition = condition_of([Query(texts=[words[label]]) for label in labels], model.clap)
        window = np.zeros(network.window_samples, np.float32)
        heard = min(len(sounds.mixture), len(window))
        window[:heard] = sounds.mixture[:heard]
        features = network.encode(torch.from_numpy(window)[None])
        scores.append(
            MixtureScores(
                network.presence_logits(features, condition)[0].double().numpy(),
                network.activity_logits(features, condition)[0].double().numpy(),
                np.array([label in (row.label, row.noise_label) for label in labels]),
                _active(row, sounds, labels, rate)[:, : heard * BINS_PER_SECOND // rate],
            )
        )
    return scores


def presences(scores: Sequence[MixtureScores]) -> tuple[Floats, Truth]:
    """Log odds of presence of all pairs, and whether they are true."""
    return np.concatenate([one.presence for one in scores]), np.concatenate([one.is_there for one in scores])


def activities(scores: Sequence[MixtureScores], line: Platt, network: CompactCLAPSep) -> tuple[Floats, Truth]:
    """Activity per tenth of a second of all pairs on a line, and whether it is true."""
    at = network.activity_hop_samples, network.window_samples, network.sample_rate
    told = [to_bins(line(one.activity), *at)[:, : one.is_active.shape[1]].ravel() for one in scores]
    return np.concatenate(told), np.concatenate([one.is_active.ravel() for one in scores])


def crossed(scores: Sequence[MixtureScores]) -> tuple[Floats, Truth]:
    """Probabilities of the pairs of every second mixture by the line that was fitted to the others, and the truth."""
    halves = [presences(scores[::2]), presences(scores[1::2])]
    said = [fit_platt(*other)(mine[0]) for mine, other in (halves, halves[::-1])]
    return np.concatenate(said), np.concatenate([truth for _, truth in halves])


def rounded_down(probability: float) -> float:
    """Three significant digits of a threshold, never above it.

    >>> rounded_down(0.0012399)
    0.00123
    """
    if probability <= 0.0:
        return 0.0
    step = 10.0 ** (np.floor(np.log10(probability)) - 2)
    return float(f"{np.floor(probability / step) * step:.3g}")


def best_f1(scores: Floats, truth: Truth) -> tuple[float, float]:
    """The threshold with the highest F1, and that F1."""
    order = np.argsort(-scores)
    hits = np.cumsum(truth[order])
    f1 = 2.0 * hits / (np.arange(1, len(order) + 1) + truth.sum())
    best = int(f1.argmax())
    return float(scores[order[best]]), float(f1[best])


def picture(parts: Sequence[ReliabilityBin]) -> bytes:
    """What was said over what was true, as PNG; a point's area tells how many pairs it stands for."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.0, 4.0), layout="constrained")
    panel = figure.subplots()
    panel.plot([0, 1], [0, 1], color="0.7", linewidth=1.0)
    most = max(part.count for part in parts)
    sizes = [20.0 + 180.0 * part.count / most for part in parts]
    panel.scatter([part.said for part in parts], [part.true for part in parts], sizes)
    panel.set_xlabel("presence that was told")
    panel.set_ylabel("share of the pairs in which the sound was there")
    panel.grid(alpha=0.3)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def _active(row: Mixture, sounds: MixedSounds, labels: Sequence[str], rate: int) -> Truth:
    """In which tenths of a second [Q, bins] each label sounds."""
    mixed: NDArray[np.float32] = level_per_bin(sounds.mixture[None], rate)
    active = np.zeros((len(labels), len(mixed)), bool)
    for label, source in ((row.label, sounds.target), (row.noise_label, sounds.rest)):
        level = level_per_bin(source[None], rate)
        floor = np.maximum(max(FLOOR_DBFS, level.max() - BELOW_MIXTURE_DB), mixed - BELOW_MIXTURE_DB)
        active[labels.index(label)] = level > floor
    return active


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Calibrate presence and thresholds on a development list.")
    parser.add_argument("list_csv", type=Path)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--model", required=True, help="path of a checkpoint, or a model's name")
    parser.add_argument("--unseen", type=Path, help="labels that the model was not trained on: their rows are left out")
    parser.add_argument("--recall", type=float, default=0.95, help="share of true (window, query) pairs the gate keeps")
    parser.add_argument("--plot", type=Path, help="write a reliability plot (PNG)")
    parser.add_argument("--write", action="store_true", help="store line and thresholds in the checkpoint")
    return parser.parse_args()


if __name__ == "__main__":
    main()
