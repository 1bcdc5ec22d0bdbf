"""How well a network does on the list, mixture by mixture, for every way of asking."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from bench.claims.clips import SAMPLE_RATE, JudgedMixture
from model.conditions import Sides
from model.metrics import improvement, si_sdr, snr_sdr
from model.separator import MaskNetwork
from model.towers import Towers
from model.training.clips import ClipLibrary

WAYS: Final = ("text", "negative", "audio", "both")
"""Of asking: the caption; caption and the interferer's as negative; another clip of the label; caption and clip."""
EXEMPLAR_SECONDS: Final = 5.0


@dataclass(frozen=True)
class ArmScores:
    """Improvements in dB over the mixture, one per mixture of the list (NaN where a way does not apply)."""

    si_sdri_db: dict[str, NDArray[np.float64]]
    sdri_db: dict[str, NDArray[np.float64]]

    def save(self, path: Path, **about: object) -> None:
        """Write them as JSON."""
        kinds = {"si_sdri_db": self.si_sdri_db, "sdri_db": self.sdri_db}
        rows = {kind: {way: np.round(v, 3).tolist() for way, v in ways.items()} for kind, ways in kinds.items()}
        path.write_text(json.dumps({**about, **rows}) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> ArmScores:
        """What `save` wrote."""
        rows = json.loads(path.read_text(encoding="utf-8"))
        return cls(*({way: np.array(v) for way, v in rows[kind].items()} for kind in ("si_sdri_db", "sdri_db")))


class Judge:
    """Scores networks on the same mixtures with the same queries. `exemplars`: clips that ask, by label."""

    def __init__(self, mixtures: Sequence[JudgedMixture], towers: Towers, exemplars: ClipLibrary) -> None:
        self.mixtures, self.width = mixtures, towers.width
        self.text = towers.embed_text([mixture.caption for mixture in mixtures])
        self.negative = towers.embed_text([mixture.negative_caption for mixture in mixtures])
        self.audio = torch.stack([_exemplar(mixture.label, towers, exemplars) for mixture in mixtures])

    @torch.inference_mode()
    def __call__(self, network: MaskNetwork, ways: Sequence[str]) -> ArmScores:
        kept: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for row, judged in enumerate(self.mixtures):
            mixture, target = (torch.from_numpy(sound)[None] for sound in (judged.mixture, judged.target))
            spectrum = network.analyse(mixture[:, None])
            features = network.encode(mixture, spectrum[:, 0])
            for way in ways:
                sides = self._sides(way, row)
                if sides is None:
                    kept[way].append((float("nan"), float("nan")))
                    continue
                stem = network.render(network.mask(features, sides.condition), spectrum, mixture.shape[-1])[:, 0]
                kept[way].append(tuple(float(improvement(m, stem, target, mixture)) for m in (si_sdr, snr_sdr)))
        return ArmScores(*({way: np.array([pair[i] for pair in kept[way]]) for way in ways} for i in (0, 1)))

    def _sides(self, way: str, row: int) -> Sides | None:
        text, audio, nothing = self.text[row : row + 1], self.audio[row : row + 1], torch.zeros(1, self.width)
        if way in ("audio", "both") and not audio.any():
            return None
        positive = {"text": text, "negative": text, "audio": audio, "both": functional.normalize(text + audio, dim=-1)}
        return Sides(positive[way], self.negative[row : row + 1] if way == "negative" else nothing)


def _exemplar(label: str, towers: Towers, exemplars: ClipLibrary) -> Tensor:
    """Vector of a clip of the label, zeros where there is none."""
    if label not in exemplars.of_label:
        return torch.zeros(towers.width)
    clip = exemplars.clips[exemplars.of_label[label][0]].audio[: round(EXEMPLAR_SECONDS * SAMPLE_RATE)]
    return towers.embed_audio(torch.from_numpy(clip.copy())[None])[0]
