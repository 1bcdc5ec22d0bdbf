"""The loss on mel bands: the error of the stem that would be rendered, and at most the mask's variance above it."""

from __future__ import annotations

import pytest
import torch
from small_model import small_separator
from tone_examples import TextSource, seeded, tone_examples
from torch import Tensor

from model.compact_clapsep import CompactCLAPSep
from model.metrics import snr_sdr
from model.separator import Condition
from model.training.band_loss import BandSpectra
from model.training.examples import Examples
from model.training.waveform_loss import leak_db

ROWS, SOUNDS = torch.arange(4).repeat_interleave(2), torch.arange(2).repeat(4)


def spectra_of(network: CompactCLAPSep, examples: Examples) -> BandSpectra:
    analysed = network.stft.analyse(torch.cat([examples.mixture[:, None], examples.sounds], dim=1))
    return BandSpectra.of(analysed[:, 0], analysed[:, 1:], network.mel.spread)


def masks(network: CompactCLAPSep, examples: Examples) -> Tensor:
    """Of a random network, as rough as can be: [B * S, M, N]."""
    vectors = TextSource()(examples, seeded()).flatten(0, 1)
    features = network.encode(examples.mixture).select(ROWS)
    return network.mask(features, Condition(torch.cat([vectors, torch.zeros_like(vectors)], dim=1))).bands


@torch.no_grad()
@pytest.mark.parametrize("step", range(3))
def test_the_error_on_bands_exceeds_the_spectral_one_by_the_masks_variance_alone(step: int) -> None:
    network, examples = small_separator(), tone_examples(step)
    analysed = network.stft.analyse(examples.mixture)[ROWS]
    bands = masks(network, examples)[..., : analysed.shape[-1]]
    told = spectra_of(network, examples).snr_db(bands, ROWS, SOUNDS)
    truth = network.stft.analyse(examples.sounds.flatten(0, 1))
    bins = network.mel.to_bins(bands)
    error = (bins * analysed - truth).abs().square().sum(dim=(1, 2))
    between = ((network.mel.to_bins(bands.square()) - bins.square()) * analysed.abs().square()).sum(dim=(1, 2))
    energy = truth.abs().square().sum(dim=(1, 2))
    assert torch.allclose(told, 10 * torch.log10(energy / (error + between)), atol=0.01)
    assert bool((told <= 10 * torch.log10(energy / error) + 0.01).all())


@torch.no_grad()
def test_smooth_masks_are_told_as_they_are_rendered() -> None:
    network, examples = small_separator(), tone_examples(1)
    analysed = network.stft.analyse(examples.mixture)
    half = torch.full((8, network.config.bands, analysed.shape[-1]), 0.5)
    spectra = spectra_of(network, examples)
    stems, truth = 0.5 * examples.mixture[ROWS], examples.sounds.flatten(0, 1)
    assert torch.allclose(spectra.snr_db(half, ROWS, SOUNDS), snr_sdr(stems, truth).float(), atol=0.15)
    assert torch.allclose(spectra.leak_db(half, ROWS, -20.0), leak_db(stems, examples.mixture[ROWS]), atol=1e-3)
    assert torch.allclose(spectra.leak_db(0.0 * half, ROWS, -20.0), torch.tensor(-20.0), atol=1e-3)


def test_a_limit_is_where_an_error_counts_no_more() -> None:
    spectra = BandSpectra(torch.ones(1, 4, 5), torch.ones(1, 1, 4, 5), torch.full((1, 1), 20.0))
    row = torch.zeros(1, dtype=torch.long)
    mask = torch.ones(1, 4, 5)  # the sound is the whole mixture
    perfect = spectra.snr_db(mask, row, row, limit_db=30.0)
    assert float(perfect) == pytest.approx(30.0, abs=1e-3)
    assert float(spectra.snr_db(0.5 * torch.ones(1, 4, 5), row, row)) == pytest.approx(6.02, abs=0.01)
    double = BandSpectra(*(term.double() for term in (spectra.power, spectra.cross, spectra.energy)))
    bands = torch.rand(1, 4, 5, dtype=torch.float64, generator=seeded(2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda mask: double.snr_db(mask, row, row, 30.0), bands)
