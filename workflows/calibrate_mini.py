"""Default thresholds of a model from the development list: presence of the gate, activity of events.

    python -m workflows.calibrate_mini LIST.csv --root DIR --model FILE.safetensors

Every mixture of the list is scored against the caption of its target, of its noise, and one caption of every other
label of the list. The gate's threshold is the highest that keeps the wanted share of true pairs; the event threshold
gives the best F1 per tenth of a second. With
`--write` the checkpoint's calibration is replaced.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model.checkpoint import Calibration, Model, load_checkpoint, save_checkpoint
from model.conditions import Query, condition_of
from operators.event_spans import BELOW_MIXTURE_DB, BINS_PER_SECOND, FLOOR_DBFS, level_per_bin, to_bins
from workflows.evaluation.lists import read_list
from workflows.evaluation.mixtures import Mixture
from workflows.evaluation.sounds import mixed_sounds

Floats = NDArray[np.float32]


def main() -> None:
    """Print both thresholds with what they cost and bring."""
    parser = argparse.ArgumentParser(description="Calibrate thresholds on a development list.")
    parser.add_argument("list_csv", type=Path)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--unseen", type=Path, help="labels that the model was not trained on: their rows are left out")
    parser.add_argument("--recall", type=float, default=0.95, help="share of true (window, query) pairs the gate keeps")
    parser.add_argument("--write", action="store_true", help="store the thresholds in the checkpoint")
    arguments = parser.parse_args()
    unseen = set(arguments.unseen.read_text().split()) if arguments.unseen else set()
    rows = [
        row
        for row in read_list(arguments.list_csv, arguments.root).mixtures
        if row.label not in unseen and row.noise_label not in unseen
    ]
    model = load_checkpoint(arguments.model)
    presence, is_there, activity, is_active = scores(model, rows)
    gate = float(np.quantile(presence[is_there], 1.0 - arguments.recall))
    skipped = float((presence[~is_there] < gate).mean())
    event, f1 = best_f1(activity, is_active)
    print(f"{len(rows)} mixtures, {is_there.sum()} true and {(~is_there).sum()} false pairs")
    print(
        f"gate  threshold {gate:.3f}: keeps {arguments.recall:.0%} of the true pairs, "
        f"skips {skipped:.1%} of the false ones"
    )
    print(f"event threshold {event:.3f}: F1 {f1:.3f} per tenth of a second")
    if arguments.write:
        save_checkpoint(
            arguments.model,
            separator=model.separator,
            clap=model.clap,
            calibration=replace(Calibration(), presence_threshold=round(gate, 3), event_threshold=round(event, 3)),
            provenance=model.provenance,
        )


@torch.inference_mode()
def scores(model: Model, rows: list[Mixture]) -> tuple[Floats, NDArray[np.bool_], Floats, NDArray[np.bool_]]:
    """Presence and truth of every (mixture, label) pair, activity and truth of every tenth of a second of the pairs."""
    captions = {row.label: row.caption for row in rows} | {row.noise_label: row.negative_caption for row in rows}
    labels = sorted(captions)
    network, rate = model.separator, model.separator.sample_rate
    presence, there, activity, active = [], [], [], []
    for row in rows:
        sounds = mixed_sounds(row, rate)
        target, noise, mixture, length = sounds.target, sounds.rest, sounds.mixture, len(sounds.mixture)
        words = captions | {row.label: row.caption, row.noise_label: row.negative_caption}
        condition = condition_of([Query(texts=[words[label]]) for label in labels], model.clap)
        window = np.zeros(network.window_samples, np.float32)
        window[: min(length, len(window))] = mixture[: len(window)]
        features = network.encode(torch.from_numpy(window)[None])
        heard = network.presence(features, condition)[0].numpy()
        frames = network.activity(features, condition)[0].numpy()
        bins = to_bins(frames, network.activity_hop_samples, len(window), rate)[:, : length * BINS_PER_SECOND // rate]
        mixed = level_per_bin(mixture[None], rate)
        for label, probability, in_bins in zip(labels, heard, bins, strict=True):
            source = target if label == row.label else noise if label == row.noise_label else None
            truth = np.zeros(bins.shape[1], bool)
            if source is not None:
                level = level_per_bin(source[None], rate)
                floor = np.maximum(max(FLOOR_DBFS, level.max() - BELOW_MIXTURE_DB), mixed - BELOW_MIXTURE_DB)
                truth = (level > floor)[: bins.shape[1]]
            presence.append(probability)
            there.append(source is not None)
            activity.append(in_bins)
            active.append(truth)
    return np.array(presence), np.array(there), np.concatenate(activity), np.concatenate(active)


def best_f1(scores: Floats, truth: NDArray[np.bool_]) -> tuple[float, float]:
    """The threshold with the highest F1, and that F1."""
    order = np.argsort(-scores)
    hits = np.cumsum(truth[order])
    f1 = 2.0 * hits / (np.arange(1, len(order) + 1) + truth.sum())
    best = int(f1.argmax())
    return float(scores[order[best]]), float(f1[best])


if __name__ == "__main__":
    main()
