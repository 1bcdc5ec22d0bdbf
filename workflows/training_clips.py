"""Clips for training, from folders of recordings with manifests and from synthesis, as a `ClipLibrary`.

A data folder holds `manifests/*.csv` (columns path, label, licence, caption at least) and `*captions*.json`
(label -> caption, paraphrases). Clips under a non-commercial licence and clips with a held-out label are left out,
and counted.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from model.synthesis import SYNTHESIS_CAPTIONS, synthesise
from model.training.clips import Clip, ClipLibrary
from model.training.wordings import FURTHER_WORDINGS, GROUPS

SAMPLE_RATE = 32_000


def load_library(
    roots: Sequence[Path], held_out: frozenset[str], *, synthetic_per_label: int = 12, seed: int = 7
) -> tuple[ClipLibrary, dict[str, int]]:
    """The library of every allowed clip below `roots` and `synthetic_per_label` synthesised ones, and counts of what
    was left out."""
    counts: Counter[str] = Counter()
    rows = [row for root in roots for row in _manifest_rows(root, held_out, counts)]
    with ThreadPoolExecutor(4) as pool:
        clips = list(pool.map(lambda row: Clip(row[1], _read(row[0])), rows))
    wordings: dict[str, list[str]] = {}
    for root in roots:
        for file in sorted(root.glob("*captions*.json")):
            for label, entry in json.loads(file.read_text()).items():
                wordings.setdefault(label, []).extend([entry["caption"], *entry["paraphrases"]])
    for _, label, caption in rows:
        wordings.setdefault(label, []).append(caption)
    for label, captions in {**SYNTHESIS_CAPTIONS}.items():
        if label in held_out:
            continue
        wordings.setdefault(label, []).extend(captions)
        for draw in range(synthetic_per_label):
            generator = np.random.default_rng([seed, draw, *label.encode()])
            sound = synthesise(label, 5.0, SAMPLE_RATE, generator)
            clips.append(Clip(label, np.round(sound * 32767.0).astype(np.int16)))
            counts["synthesised"] += 1
    for label, captions in FURTHER_WORDINGS.items():
        wordings.setdefault(label, []).extend(captions)
    unique = {label: sorted(set(captions)) for label, captions in wordings.items()}
    groups = {
        name: ([label for label in labels if label not in held_out], captions)
        for name, (labels, captions) in GROUPS.items()
    }
    return ClipLibrary(clips, unique, groups), dict(counts)


def _manifest_rows(root: Path, held_out: frozenset[str], counts: Counter[str]) -> Iterator[tuple[Path, str, str]]:
    """(file, label, caption) of every usable row of the root's training manifests; development manifests are never
    read."""
    for manifest in sorted((root / "manifests").glob("*.csv")):
        if manifest.stem == "dev":
            continue
        for row in csv.DictReader(manifest.read_text(encoding="utf-8").splitlines()):
            if "NC" in row["licence"].replace("-", " ").split():
                counts["non-commercial licence"] += 1
            elif row["label"] in held_out:
                counts["held-out label"] += 1
            else:
                counts["recorded"] += 1
                yield root / row["path"], row["label"], row["caption"]


def _read(path: Path) -> np.ndarray:
    sound, rate = soundfile.read(path, dtype="int16", always_2d=True)
    if rate != SAMPLE_RATE:
        raise ValueError(f"{path} has {rate} Hz, expected {SAMPLE_RATE}; resample it first")
    return np.ascontiguousarray(sound[:, 0])
