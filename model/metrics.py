"""Separation metrics in dB. Every function takes `estimate` and `reference` [..., T] and returns [...], in double.

Two different things are called SDR in this field, so they never share a name here:

- `snr_sdr`: 10 log10(|s|^2 / |s - e|^2), what AudioSep and DCASE 2024 task 9 call SDR;
- `bss_sdr`: BSS-eval version 3 with a 512-tap allowed distortion filter, what CLAPSep and BiModal call SDR.

Every value lies in [-LIMIT_DB, LIMIT_DB], never NaN: a perfect estimate has LIMIT_DB (`bss_*` a little less where the
spectrum has holes), a silent reference gives -LIMIT_DB whatever the estimate. A silent estimate of a sound has an
`snr_sdr` of 0 dB and -LIMIT_DB in all others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LIMIT_DB = 100.0
"""Beyond this, differences are those of rounding: audio of 16 bits has 96 dB. Our choice."""
RIDGE = 1e-10
"""Added to the correlations of unit vectors, so that holes in a spectrum do not make them singular. Our choice."""
SMALLEST = 1e-30
"""An energy below this is that of silence."""


@dataclass(frozen=True)
class BssScores:
    """BSS-eval of one estimate: distortion of any kind, interference by the other sound, artifacts; each [...]."""

    sdr: Tensor
    sir: Tensor
    sar: Tensor


def snr_sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Signal-to-noise ratio of the estimate (AudioSep's "SDR"). Not invariant to level: 0.5 x mixture gains 3 dB."""
    estimate, reference = estimate.double(), reference.double()
    return _of_sound(_decibels(_energy(reference), _energy(reference - estimate)), reference)


def si_sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Scale-invariant SDR (Le Roux et al. 2019), means removed.

    >>> s = torch.sin(torch.arange(1000.0)); bool(si_sdr(3 * s, s) > 60)
    True
    """
    estimate, reference = _centred(estimate.double()), _centred(reference.double())
    share = (estimate * reference).sum(-1) / _energy(reference).clamp_min(SMALLEST)
    target = share[..., None] * reference
    ratio = _decibels(_energy(target), _energy(estimate - target))
    return _of_sound(_of_sound(ratio, estimate), reference)


def bss_sdr(estimate: Tensor, reference: Tensor, *, taps: int = 512) -> Tensor:
    """BSS-eval SDR: the reference may be filtered by the best FIR filter of `taps` taps (Vincent et al. 2006)."""
    explained = _explained(estimate, [reference], taps)
    return _of_sound(_of_sound(_decibels(explained, 1.0 - explained), estimate), reference)


def bss_eval(estimate: Tensor, target: Tensor, interferer: Tensor, *, taps: int = 512) -> BssScores:
    """SDR, SIR and SAR of an estimate of `target`, where `interferer` is all else that sounds (BSS-eval version 3).

    With P_t and P the projections on all `taps` delays of the target, and of both: SDR = |P_t e|^2 / |e - P_t e|^2,
    SIR = |P_t e|^2 / |P e - P_t e|^2, SAR = |P e|^2 / |e - P e|^2. Nothing is permuted.
    """
    of_target, of_both = _explained(estimate, [target], taps), _explained(estimate, [target, interferer], taps)
    of_both = of_both.maximum(of_target)  # the larger space holds the smaller one: less is rounding

    def judged(part: Tensor, rest: Tensor) -> Tensor:
        return _of_sound(_of_sound(_decibels(part, rest), estimate), target)

    return BssScores(
        sdr=judged(of_target, 1.0 - of_target),
        sir=judged(of_target, of_both - of_target),
        sar=judged(of_both, 1.0 - of_both),
    )


def improvement(
    metric: Callable[[Tensor, Tensor], Tensor], estimate: Tensor, reference: Tensor, mixture: Tensor
) -> Tensor:
    """How much better the estimate is than the mixture itself, in the metric's dB."""
    return metric(estimate, reference) - metric(mixture, reference)


def level_below(estimate: Tensor, mixture: Tensor) -> Tensor:
    """How far the estimate's level lies below the mixture's, in dB: what is left of a query that does not sound."""
    return _decibels(_energy(mixture.double()), _energy(estimate.double()))


def _explained(estimate: Tensor, sources: Sequence[Tensor], taps: int) -> Tensor:
    """The share [...] of the estimate's energy that filters of `taps` taps can make of the sources, 0 to 1.

    Solved in double precision from correlations, whose matrix [..., S taps, S taps] is positive definite. By Cholesky,
    not LU: its row swaps fail in MKL where another library has brought a LAPACK of its own into the process.
    """
    estimate = _unit(estimate.double())
    size = 1 << (estimate.shape[-1] + taps - 1).bit_length()
    spectra = [torch.fft.rfft(_unit(source.double()), size) for source in sources]
    lag = (torch.arange(taps)[:, None] - torch.arange(taps)[None]).to(estimate.device)  # negative ones wrap around
    rows = [
        torch.cat([torch.fft.irfft(mine.conj() * other, size)[..., lag] for other in spectra], dim=-1)
        for mine in spectra
    ]
    gram = torch.cat(rows, dim=-2)  # (..., S taps, S taps)
    heard = torch.fft.rfft(estimate, size)
    cross = torch.cat([torch.fft.irfft(mine.conj() * heard, size)[..., :taps] for mine in spectra], dim=-1)
    ridge = RIDGE * torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    filters = torch.cholesky_solve(cross[..., None], torch.linalg.cholesky(gram + ridge))[..., 0]
    return (cross * filters).sum(-1).clamp(0.0, 1.0)


def _of_sound(decibels: Tensor, sound: Tensor) -> Tensor:
    """The value where `sound` [..., T] is one, -LIMIT_DB where it is silence."""
    return decibels.where(_energy(sound) > SMALLEST, -LIMIT_DB)


def _decibels(signal: Tensor, rest: Tensor) -> Tensor:
    return (10.0 * torch.log10(signal.clamp_min(SMALLEST) / rest.clamp_min(SMALLEST))).clamp(-LIMIT_DB, LIMIT_DB)


def _energy(sound: Tensor) -> Tensor:
    return sound.double().square().sum(-1)


def _centred(sound: Tensor) -> Tensor:
    return sound - sound.mean(-1, keepdim=True)


def _unit(sound: Tensor) -> Tensor:
    return sound / _energy(sound).sqrt().clamp_min(SMALLEST)[..., None]
