"""Losses on waveforms, in dB: how far an estimate is from its target, and how loud it is where it should be silent.

    loss = -0.9 * SNR - 0.1 * SI-SNR                   where the target sounds    (CLAPSep, its published code)
    loss = 10 log10(|e|^2 / |x|^2 + floor)             where it is silent         (our choice)

All sums run over the last axis. eps, the machine epsilon of the dtype, is added where torchmetrics adds it, whose
`signal_noise_ratio` and `scale_invariant_signal_noise_ratio` these two are when there is no limit. It is an
energy: that of one second of sound at 32 kHz and -114 dBFS in float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SILENCE_DB = -60.0
"""A target whose energy is this far below the mixture's, or further, is silent: an SNR against it says nothing."""


def ratio_db(signal: Tensor, noise: Tensor, limit_db: float | None) -> Tensor:
    """10 log10(signal / noise) of energies [...], with the eps and the limit of `snr_db`."""
    eps = torch.finfo(signal.dtype).eps
    share = 0.0 if limit_db is None else 10.0 ** (-limit_db / 10.0)
    return 10.0 * torch.log10((signal + eps) / (noise + (eps if limit_db is None else share * (signal + eps))))


def snr_db(estimate: Tensor, target: Tensor, limit_db: float | None = None) -> Tensor:
    """Signal-to-noise ratio [...] of estimates [..., T]; not invariant to level.

    With a limit it saturates there: 10 log10(s / (n + t s)) with t = 10^(-limit / 10), so that examples that are solved
    already pull less than those that are not (the soft threshold of mixture-invariant training, Wisdom et al. 2020).

    >>> target = torch.sin(torch.arange(1000.0))
    >>> round(float(snr_db(0.9 * target, target)), 3), round(float(snr_db(target, target, limit_db=30.0)), 3)
    (20.0, 30.0)
    """
    return ratio_db(target.square().sum(-1), (target - estimate).square().sum(-1), limit_db)


def si_snr_db(estimate: Tensor, target: Tensor, limit_db: float | None = None) -> Tensor:
    """Scale-invariant SNR [...] of estimates [..., T], means removed (Le Roux et al. 2019); limit as in `snr_db`."""
    eps = torch.finfo(estimate.dtype).eps
    estimate = estimate - estimate.mean(-1, keepdim=True)
    target = target - target.mean(-1, keepdim=True)
    along = (estimate * target).sum(-1, keepdim=True) + eps
    scaled = along / (target.square().sum(-1, keepdim=True) + eps) * target
    return ratio_db(scaled.square().sum(-1), (scaled - estimate).square().sum(-1), limit_db)


def leak_db(estimate: Tensor, mixture: Tensor, floor_db: float = -20.0) -> Tensor:
    """Level [...] of estimates [..., T] relative to their mixtures, which are not differentiated; `floor_db` is what
    silence gets."""
    eps = torch.finfo(estimate.dtype).eps
    share = estimate.square().sum(-1) / (mixture.detach().square().sum(-1) + eps)
    return 10.0 * torch.log10(share + 10.0 ** (floor_db / 10.0))


def is_silent(target: Tensor, mixture: Tensor) -> Tensor:
    """True [...] where targets [..., T] do not sound: `SILENCE_DB` below the mixture or further, or all zeros."""
    share: float = 10.0 ** (SILENCE_DB / 10.0)
    return _energy(target) <= share * _energy(mixture)


@dataclass(frozen=True)
class WaveformLoss:
    """Weights of the loss of a stem; the defaults are CLAPSep's, which knows neither limit nor silent targets."""

    snr_weight: float = 0.9
    si_snr_weight: float = 0.1
    limit_db: float | None = None
    """From here on an SNR counts no more; None for no limit."""
    floor_db: float = -20.0
    """The level, relative to the mixture, below which a stem that should be silent is silent enough."""

    def __post_init__(self) -> None:
        if min(self.snr_weight, self.si_snr_weight) < 0.0 or self.snr_weight + self.si_snr_weight == 0.0:
            raise ValueError(
                f"weights must not be negative, and one must be positive: {self.snr_weight = }, {self.si_snr_weight = }"
            )
        if self.floor_db >= 0.0:
            raise ValueError(f"floor_db lies below the mixture's level, 0 dB, got {self.floor_db}")

    def sounding(self, estimate: Tensor, target: Tensor) -> Tensor:
        """The loss [...] against targets [..., T] that sound."""
        snr, si_snr = (measure(estimate, target, self.limit_db) for measure in (snr_db, si_snr_db))
        return -self.snr_weight * snr - self.si_snr_weight * si_snr

    def silent(self, estimate: Tensor, mixture: Tensor) -> Tensor:
        """The loss [...] where nothing should sound: from `floor_db` for silence to 0 for a stem as loud as the
        mixture."""
        return leak_db(estimate, mixture, self.floor_db)

    def __call__(self, estimate: Tensor, target: Tensor, mixture: Tensor) -> Tensor:
        """The loss [...] of estimates, by what each target is."""
        quiet = is_silent(target, mixture)
        return torch.where(quiet, self.silent(estimate, mixture), self.sounding(estimate, target))


def _energy(signal: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(signal, dim=-1)
    return norm.square()
