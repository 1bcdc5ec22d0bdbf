"""Train and judge all arms, and write docs/claims.md.

    python -m bench.claims --data ../shared/data --work DIR [--steps N] [--to docs/claims.md] [--only ARM ...]

What is done lies in WORK (states while training, scores afterwards), so that the same command goes on where it was
stopped; the page is written anew after every arm.
"""

from __future__ import annotations

import argparse
import platform
import time
from pathlib import Path

import numpy as np
import torch

from bench.claims.arms import APART, ARMS
from bench.claims.clips import JudgedMixture, judged, split, unpack
from bench.claims.gap import ApartTowers, ModalityGap, modality_gap
from bench.claims.page import page
from bench.claims.scores import WAYS, ArmScores, Judge, steps_of
from bench.claims.training import ENCODER_STEPS, TOWER_STEPS, cache_for, encoder_of, towers_of, train_arm
from model.training.clips import ClipLibrary
from model.training.training_state import Row

SETTING = """\
- CLAP towers, and the pretrained encoder of claim e: {tower_clips} clips of {tower_labels} labels; {tower_steps} steps,
  {encoder_steps} for the encoder.
- Separators: {clips} other clips of {labels} labels, {steps} steps of 8 mixtures of 3.2 s. Every arm is the same
  network (about a third of mini's size) with the same seed and mixtures; only what it is asked with differs, or the
  objective. In weak training every sound is a mixture of two clips.
- The centres of the vectors of sounds and of words lie {gap}. Those of pictures and words lie 0.82 apart in CLIP
  (arXiv 2203.02053). In the arms `*_apart` one constant vector is added to all audio vectors, which is the form that
  paper finds the gap to have; it puts them {apart}.
- Judged on {mixtures} mixtures of two recordings that nobody trained on: {seen} with a label that the separators know
  (seen), {unseen} with one that they do not (unseen: known to the towers alone, or to nobody). SI-SDRi is the
  improvement of the scale-invariant SDR over the mixture, SDRi that of the plain SNR.
- Machine: {threads} threads, {machine}, torch {torch}, no GPU.
"""


def main() -> None:
    """Do what is left to do."""
    asked = _asked()
    torch.set_num_threads(asked.threads)
    (asked.work / "scores").mkdir(parents=True, exist_ok=True)
    unpacked = unpack(asked.data, asked.work / "data")
    a, b = split(asked.data, unpacked)
    mixtures = judged(unpacked, b)
    seen = np.array([mixture.seen for mixture in mixtures])
    towers = towers_of(a, asked.work, _logger("towers"))
    gaps = modality_gap(towers, b), modality_gap(ApartTowers(towers, APART), b)
    setting = describe(a, b, mixtures, asked.steps, *gaps)
    print(setting, flush=True)
    judge = Judge(mixtures, towers, b)
    for arm in ARMS:
        path = asked.work / "scores" / f"{arm.name}.json"
        if (path.exists() and steps_of(path) == asked.steps) or (asked.only and arm.name not in asked.only):
            continue
        paths = {}
        if arm.cache is not None:
            paths["cache"] = cache_for(arm, towers, asked.work)
        if arm.encoder:
            paths["encoder"] = encoder_of(a, towers, asked.work, _logger("encoder"))
        began = time.monotonic()
        network = train_arm(arm, asked.steps, b, towers, asked.work, paths, _logger(arm.name))
        ways = WAYS if arm.name == "blended" else ("text", "audio") if arm.name == "vanilla" else ("text",)
        judge(network.eval(), ways).save(path, arm=arm.name, steps=asked.steps)
        print(f"{arm.name}: {time.monotonic() - began:.0f} s", flush=True)
        _write(asked.to, asked.work, seen, setting, asked.steps)
    _write(asked.to, asked.work, seen, setting, asked.steps)


def describe(
    a: ClipLibrary, b: ClipLibrary, mixtures: list[JudgedMixture], steps: int, gap: ModalityGap, apart: ModalityGap
) -> str:
    """What was trained on what, in sentences."""
    seen = sum(mixture.seen for mixture in mixtures)
    return SETTING.format(
        tower_clips=f"{len(a.clips):,}",
        tower_labels=len(a.labels),
        tower_steps=TOWER_STEPS,
        encoder_steps=ENCODER_STEPS,
        clips=f"{len(b.clips):,}",
        labels=len(b.labels),
        steps=steps,
        gap=gap,
        apart=apart,
        mixtures=len(mixtures),
        seen=seen,
        unseen=len(mixtures) - seen,
        threads=torch.get_num_threads(),
        machine=platform.machine(),
        torch=torch.__version__,
    )


def _write(to: Path, work: Path, seen: np.ndarray, setting: str, steps: int) -> None:
    files = [path for path in sorted((work / "scores").glob("*.json")) if steps_of(path) == steps]
    scores = {path.stem: ArmScores.load(path) for path in files}
    if {"text", "vanilla"} <= scores.keys():
        to.write_text(page(scores, seen, setting), encoding="utf-8")


def _logger(name: str):
    def log(row: Row) -> None:
        print(name, row, flush=True)

    return log


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Put the claims of the papers to the test.")
    parser.add_argument("--data", type=Path, required=True, help="folder with the packs of recordings")
    parser.add_argument("--work", type=Path, required=True, help="where states and scores go")
    parser.add_argument("--steps", type=int, default=500, help="steps of every arm")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", nargs="*", help="arms to train now; default: all")
    parser.add_argument("--to", type=Path, default=Path("docs/claims.md"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
