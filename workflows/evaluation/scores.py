"""What a stem is worth: all metrics of one mixture, as a row of the result."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch

from model.metrics import bss_eval, bss_sdr, level_below, si_sdr, snr_sdr
from model.mixing import Audio
from workflows.evaluation.mixtures import Mixture
from workflows.evaluation.rows import RowScores
from workflows.evaluation.sounds import MixedSounds

SILENT_PEAK: Final = 10.0 ** (-90.0 / 20.0)
"""A target that stays below -90 dBFS cannot be scored: the network is not shown what is so quiet, either."""


def about(mixture: Mixture) -> dict[str, Any]:
    """What a row says of its mixture, whatever becomes of it."""
    return {
        "row": mixture.row,
        "line": mixture.line,
        "caption": mixture.caption,
        "target": mixture.target.path.name,
        "target_label": mixture.label,
    }


def failed(mixture: Mixture, error: Exception) -> RowScores:
    """The row of a mixture that could not be scored."""
    return RowScores(**about(mixture), error=f"{type(error).__name__}: {error}")


def score(
    mixture: Mixture, sounds: MixedSounds, stem: Audio, *, bss: bool, absent: str | None, answer: Audio | None
) -> RowScores:
    """The row of a mixture whose stem [T] is given; `answer` [T] is the one of the `absent` query."""
    told: dict[str, Any] = {**about(mixture), "absent_caption": absent}
    estimate, target, mixed, rest = map(_double, (stem, sounds.target, sounds.mixture, sounds.rest))
    if answer is not None:
        told["absent_below_db"] = float(level_below(_double(answer), mixed))
    if float(np.abs(sounds.target).max(initial=0.0)) < SILENT_PEAK:
        return RowScores(**told, unscored="the target is silent")
    own = float(si_sdr(estimate, target))
    told["snr_sdri_db"] = float(snr_sdr(estimate, target) - snr_sdr(mixed, target))
    told |= {"si_sdr_db": own, "si_sdri_db": own - float(si_sdr(mixed, target))}
    if bss:
        scores = bss_eval(estimate, target, rest)
        told |= {"bss_sdr_db": float(scores.sdr), "bss_sdri_db": float(scores.sdr - bss_sdr(mixed, target))}
        told |= {"sir_db": float(scores.sir), "sar_db": float(scores.sar)}
    return RowScores(**told)


def _double(sound: Audio) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(sound, np.float64))
