"""Small random networks made in code: the real classes at 4 kHz, a hundredth of the cost, nothing learned."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from model.checkpoint import Calibration, Model, save_checkpoint
from model.clap import Clap, ClapConfig
from model.compact_clapsep import CompactCLAPSep, CompactCLAPSepConfig
from model.sentence_encoder import SENTENCE_WIDTH, SentenceEncoder
from model.separator import Condition

Samples = npt.NDArray[np.float32]

RATE = 4000
WINDOW = 10 * RATE
EMBEDDING = 8
SEPARATOR = CompactCLAPSepConfig(
    sample_rate=RATE,
    window_samples=WINDOW,
    n_fft=256,
    hop_samples=64,
    bands=16,
    embedding=EMBEDDING,
    widths=(4, 6, 8),
    deep_blocks=1,
    decoder_widths=(4, 6, 8),
    activity=8,
)
CLAP = ClapConfig(sample_rate=RATE, n_fft=256, hop_samples=64, bands=16, widths=(4, 6), embedding=EMBEDDING)


class WordSentences(SentenceEncoder):
    """Sentence vectors without a network: the sum of one fixed random vector per word."""

    def __init__(self) -> None:
        pass

    def __call__(self, texts: Sequence[str]) -> Tensor:
        return functional.normalize(torch.stack([sum(map(self._word, text.split())) for text in texts]), dim=-1)

    def _word(self, word: str) -> Tensor:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
        return torch.from_numpy(np.random.default_rng(seed).standard_normal(SENTENCE_WIDTH).astype(np.float32))


def small_separator(seed: int = 0, network: type[CompactCLAPSep] = CompactCLAPSep) -> CompactCLAPSep:
    """A random separator whose masks and presences use much of their range."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        separator = network(SEPARATOR)
        with torch.no_grad():
            separator.patches.weight *= 6.0
            for layer in (separator.query[0], separator.query[2]):
                layer.weight *= 5.0
            for stage in separator.stages:
                stage.gamma.weight *= 3.0
                stage.beta.weight *= 3.0
            separator.activity_bias.fill_(0.0)
    return separator.eval()


def small_clap(seed: int = 0) -> Clap:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Clap(CLAP, WordSentences()).eval()


def small_model(seed: int = 0, network: type[CompactCLAPSep] = CompactCLAPSep) -> Model:
    return Model(
        name="small",
        separator=small_separator(seed, network),
        clap=small_clap(seed),
        calibration=Calibration(presence_threshold=0.5, event_threshold=0.5),
        provenance={},
        signature=f"small-{seed}",
    )


def save_small(path: Path, seed: int = 0, calibration: Calibration = Calibration()) -> Path:  # noqa: B008 - frozen
    """A checkpoint of `small_model(seed)`."""
    save_checkpoint(
        path,
        separator=small_separator(seed),
        clap=small_clap(seed),
        calibration=calibration,
        provenance={"data": "none", "seed": seed},
    )
    return path


def random_condition(queries: int, seed: int = 0) -> Condition:
    rows = np.random.default_rng(seed).standard_normal((queries, 2 * EMBEDDING)).astype(np.float32)
    return Condition(functional.normalize(torch.from_numpy(rows), dim=-1))


def lively(seconds: float, channels: int = 1, seed: int = 0, rate: int = RATE) -> Samples:
    """Tones that come and go over a bed of noise, other in each channel: float32[C, T], peak about 0.5."""
    time = np.arange(round(seconds * rate)) / rate
    random = np.random.default_rng([seed, channels])
    rows = []
    for _ in range(channels):
        sound = 0.02 * random.standard_normal(time.size)
        for _ in range(4):
            envelope = np.clip(np.sin(2 * np.pi * random.uniform(0.05, 0.4) * time + random.uniform(0, 6)), 0, 1)
            sound += 0.12 * envelope * np.sin(2 * np.pi * random.uniform(80, 1800) * time)
        rows.append(sound)
    return np.stack(rows).astype(np.float32)
