"""Manipulations of embeddings, each by its own closed form."""

from __future__ import annotations

import pytest
import torch
from made_examples import seeded
from torch.nn import functional

from model.training.manipulations import (
    EmbeddingDropout,
    GaussianNoise,
    Manipulation,
    MeanGapShift,
    Mixup,
    PcaTruncation,
    PcaWhitening,
)

WIDTH = 32


def units(*shape: int, seed: int = 0) -> torch.Tensor:
    return functional.normalize(torch.randn(*shape, WIDTH, generator=seeded(seed)), dim=-1)


def every() -> list[Manipulation]:
    audio, text = units(200, seed=8), units(100, seed=9)
    return [
        EmbeddingDropout(0.5),
        GaussianNoise(0.02),
        Mixup(0.1, 0.4),
        MeanGapShift.fit(audio, text + 0.1),
        PcaTruncation.fit(audio, 5),
        PcaWhitening.fit(audio, 1e-3),
    ]


@pytest.mark.parametrize("manipulation", every(), ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("shape", [(6,), (4, 2)])
def test_all_give_unit_vectors_of_the_same_shape_and_the_same_for_the_same_seed(
    manipulation: Manipulation, shape: tuple[int, ...]
) -> None:
    vectors = units(*shape)
    given = vectors.clone()
    out = manipulation(vectors, seeded(5))
    assert out.shape == vectors.shape
    assert torch.allclose(out.norm(dim=-1), torch.ones(shape), atol=1e-6)
    assert torch.equal(out, manipulation(vectors, seeded(5)))
    assert torch.equal(vectors, given)
    assert (out - vectors).norm(dim=-1).min() > 1e-3
    assert not list(manipulation.parameters())  # nothing to train


@pytest.mark.parametrize(
    "manipulation", [EmbeddingDropout(0.5), GaussianNoise(0.02), Mixup(0.1, 0.4)], ids=lambda m: type(m).__name__
)
def test_random_ones_differ_from_seed_to_seed(manipulation: Manipulation) -> None:
    assert not torch.equal(manipulation(units(4, 2), seeded(1)), manipulation(units(4, 2), seeded(2)))


def test_dropout_zeroes_its_share_and_keeps_the_direction_of_the_rest() -> None:
    vectors = units(2000)
    out = EmbeddingDropout(0.3)(vectors, seeded())
    assert (out == 0).float().mean() == pytest.approx(0.3, abs=0.01)
    ratio = out / vectors
    kept = out != 0
    assert torch.allclose(ratio[kept], ratio.amax(dim=1, keepdim=True).expand_as(ratio)[kept], rtol=1e-4)
    assert not torch.equal(kept[0], kept[1])  # every vector draws for itself


def test_dropout_leaves_one_entry_at_least() -> None:
    out = EmbeddingDropout(0.99)(units(500), seeded())
    assert torch.allclose(out.norm(dim=1), torch.ones(500))


def test_noise_has_the_variance_it_was_asked_for() -> None:
    vectors = torch.zeros(1000, WIDTH)
    noise = GaussianNoise(0.25).change(vectors, seeded())
    assert noise.var() == pytest.approx(0.25, rel=0.03)
    assert torch.equal(GaussianNoise(0.0).change(units(3), seeded()), units(3))


def test_mixup_of_a_known_share_is_the_sum_with_another_row() -> None:
    vectors = units(5, 2)
    out = Mixup(0.25, 0.25).change(vectors, seeded())
    for row in range(5):
        fits = [o for o in range(5) if torch.allclose(out[row], 0.75 * vectors[row] + 0.25 * vectors[o], atol=1e-6)]
        assert len(fits) == 1
        assert fits != [row]  # nor with the sound next to it in the same mixture


def test_mixup_draws_shares_from_its_whole_range() -> None:
    vectors = torch.stack([torch.zeros(WIDTH), torch.ones(WIDTH)]).repeat(500, 1, 1).transpose(0, 1).contiguous()
    shares = Mixup(0.2, 0.6).change(vectors, seeded())[0, :, 0]  # rows of zeros mixed with rows of ones
    assert 0.2 <= shares.min() < 0.22
    assert 0.58 < shares.max() <= 0.6
    assert Mixup(0.2, 0.6)(units(1), seeded()).allclose(units(1), atol=1e-6)  # alone it meets itself


def test_a_shift_by_the_gap_moves_the_mean_of_sounds_to_that_of_texts() -> None:
    audio, text = units(300, seed=1) + 0.2, units(200, seed=2) - 0.3
    shifted = MeanGapShift.fit(audio, text).change(audio, seeded())
    assert torch.allclose(shifted.mean(dim=0), text.mean(dim=0), atol=1e-5)
    half = MeanGapShift.fit(audio, text, share=0.5).change(audio, seeded())
    assert torch.allclose(half.mean(dim=0), (audio.mean(dim=0) + text.mean(dim=0)) / 2, atol=1e-5)


def test_truncation_gives_back_what_lies_in_its_directions_and_drops_the_others() -> None:
    basis = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=seeded())).Q
    wide, narrow = torch.randn(400, 3, generator=seeded(1)), 1e-3 * torch.randn(400, WIDTH - 3, generator=seeded(2))
    flat = wide @ basis[:3] + 0.5
    truncation = PcaTruncation.fit(flat + narrow @ basis[3:], keep=3)
    assert torch.allclose(truncation.change(flat, seeded()), flat, atol=2e-3)
    off = flat + 0.7 * basis[10]
    assert torch.allclose(truncation.change(off, seeded()), flat, atol=5e-3)
    once = truncation.change(off, seeded())
    assert torch.allclose(truncation.change(once, seeded()), once, atol=1e-5)  # a projection


def test_whitened_vectors_have_no_mean_and_the_identity_for_covariance() -> None:
    mixing = torch.randn(WIDTH, WIDTH, generator=seeded(3))
    vectors = torch.randn(2000, WIDTH, generator=seeded(4)) @ mixing + 1.0
    white = PcaWhitening.fit(vectors, 1e-8).change(vectors, seeded())
    assert white.mean(dim=0).abs().max() < 1e-2
    assert torch.allclose(white.T.cov(), torch.eye(WIDTH), atol=2e-2)


def test_what_cannot_be_is_refused_with_the_limits() -> None:
    with pytest.raises(ValueError, match=r"from 0 to below 1, got 1\.0"):
        EmbeddingDropout(1.0)
    with pytest.raises(ValueError, match="0 or more, got -1"):
        GaussianNoise(-1)
    with pytest.raises(ValueError, match=r"low before high, got 0.5 to 0.2"):
        Mixup(0.5, 0.2)
    with pytest.raises(ValueError, match="1 to 9 can"):
        PcaTruncation.fit(units(10), 10)
    with pytest.raises(ValueError, match="2 vectors or more, got 1"):
        PcaWhitening.fit(units(1), 1e-3)
    with pytest.raises(ValueError, match="above 0, got 0"):
        PcaWhitening.fit(units(10), 0)
