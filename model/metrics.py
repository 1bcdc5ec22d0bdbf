"""Separation metrics in dB. Every function takes `estimate` and `reference` [..., T] and returns [...].

Two different things are called SDR in this field, so they never share a name here:

- `snr_sdr`: 10 log10(|s|^2 / |s - e|^2), what AudioSep and DCASE 2024 task 9 call SDR;
- `bss_sdr`: BSS-eval version 3 with a 512-tap allowed distortion filter, what CLAPSep and BiModal call SDR.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

EPSILON = 1e-10


def snr_sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Signal-to-noise ratio of the estimate (AudioSep's "SDR"). Not invariant to level: 0.5 x mixture gains 3 dB."""
    error = (reference - estimate).pow(2).sum(-1)
    return 10.0 * torch.log10((reference.pow(2).sum(-1) + EPSILON) / (error + EPSILON))


def si_sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Scale-invariant SDR (Le Roux et al. 2019), means removed.

    >>> s = torch.sin(torch.arange(1000.0)); bool(si_sdr(3 * s, s) > 60)
    True
    """
    estimate = estimate - estimate.mean(-1, keepdim=True)
    reference = reference - reference.mean(-1, keepdim=True)
    energy = reference.pow(2).sum(-1, keepdim=True) + EPSILON
    target = (estimate * reference).sum(-1, keepdim=True) / energy * reference
    error = (estimate - target).pow(2).sum(-1)
    return 10.0 * torch.log10((target.pow(2).sum(-1) + EPSILON) / (error + EPSILON))


def bss_sdr(estimate: Tensor, reference: Tensor, *, taps: int = 512) -> Tensor:
    """BSS-eval SDR: the reference may be filtered by the best FIR filter of `taps` taps (Vincent et al. 2006).

    Solved in double precision from auto- and cross-correlations, whose matrix is positive definite. By Cholesky, not
    LU: its row swaps fail in MKL where another library has brought a LAPACK of its own into the process.
    """
    estimate, reference = estimate.double(), reference.double()
    reference = reference / (reference.norm(dim=-1, keepdim=True) + EPSILON)
    estimate = estimate / (estimate.norm(dim=-1, keepdim=True) + EPSILON)
    size = 1 << (reference.shape[-1] + taps - 1).bit_length()
    spectrum = torch.fft.rfft(reference, size)
    auto = torch.fft.irfft(spectrum.abs().square(), size)[..., :taps]
    cross = torch.fft.irfft(spectrum.conj() * torch.fft.rfft(estimate, size), size)[..., :taps]
    lag = (torch.arange(taps)[:, None] - torch.arange(taps)[None]).abs().to(auto.device)
    factor = torch.linalg.cholesky(auto[..., lag] + EPSILON * torch.eye(taps, dtype=auto.dtype, device=auto.device))
    filters = torch.cholesky_solve(cross[..., None], factor)[..., 0]
    coherence = (cross * filters).sum(-1).clamp(EPSILON, 1.0 - EPSILON)
    return 10.0 * torch.log10(coherence / (1.0 - coherence))


def improvement(
    metric: Callable[[Tensor, Tensor], Tensor], estimate: Tensor, reference: Tensor, mixture: Tensor
) -> Tensor:
    """How much better the estimate is than the mixture itself, in the metric's dB."""
    return metric(estimate, reference) - metric(mixture, reference)
