"""The recordings of the claims: which the towers hear, which the separators, and on which all are judged.

    split A   half of the clips, and all clips of a quarter of the labels     CLAP towers, pretrained encoders
    split B   the other half of the labels that are left                      separators
    list      mixtures of the development list                                 nobody trains on its clips

"seen" are mixtures whose target has a label of split B; "unseen" are the others: labels that only the towers know, and
held-out ones that nobody knows. Clips and labels are split by hashes, so anybody gets the same splits.
"""

from __future__ import annotations

import csv
import hashlib
import tarfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from model.mixing import Audio, mix_at_snr
from model.training.clips import Clip, ClipLibrary, content_position
from workflows.training.clip_library import gather
from workflows.training.clip_list import ClipRules, held_out_labels

SAMPLE_RATE = 32_000
PACKS = ("train_dev", "extra_a", "extra_b")
FEWEST_CLIPS = 4
"""A label with fewer clips is heard by the towers alone."""
TOWERS_ONLY = 0.25


@dataclass(frozen=True)
class JudgedMixture:
    """One mixture of the list: target, mixture [T], words for target and interferer."""

    target: Audio
    mixture: Audio
    caption: str
    negative_caption: str
    label: str
    seen: bool


def unpack(data: Path, to: Path) -> Path:
    """The packs, unpacked once."""
    for pack in PACKS:
        done = to / f".{pack}"
        if not done.exists():
            to.mkdir(parents=True, exist_ok=True)
            with tarfile.open(data / f"{pack}.tar") as archive:
                archive.extractall(to, filter="data")
            done.touch()
    return to


def split(data: Path, unpacked: Path) -> tuple[ClipLibrary, ClipLibrary]:
    """Splits A and B of the training clips; held-out labels are in neither."""
    rules = ClipRules(held_out_labels(data / "held_out_labels.txt"))
    whole = gather([str(unpacked)], rules, SAMPLE_RATE).library
    counts = Counter(clip.label for clip in whole.clips)

    def is_b(clip: Clip) -> bool:
        if counts[clip.label] < FEWEST_CLIPS or _position(clip.label) < TOWERS_ONLY:
            return False
        return content_position(clip.sound) < 0.5

    return whole.only(lambda clip: not is_b(clip)), whole.only(is_b)


def judged(unpacked: Path, separators: ClipLibrary) -> list[JudgedMixture]:
    """The mixtures of the development list."""
    labels = set(separators.labels)
    mixtures = []
    with (unpacked / "dev/dev_list.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            target, noise = (_read(unpacked / row[name]) for name in ("target_path", "noise_path"))
            length = max(len(target), len(noise))
            target, _, mixture = mix_at_snr(_padded(target, length), _padded(noise, length), float(row["snr_db"]))
            mixtures.append(
                JudgedMixture(
                    target,
                    mixture,
                    row["caption"],
                    row["negative_caption"],
                    row["target_label"],
                    row["target_label"] in labels,
                )
            )
    return mixtures


def _position(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _read(path: Path) -> Audio:
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert rate == SAMPLE_RATE, f"{path} has {rate} Hz"
    return np.ascontiguousarray(sound[:, 0])


def _padded(sound: Audio, length: int) -> Audio:
    return np.pad(sound, (0, length - len(sound)))
