"""The losses of weak supervision on cases whose answer can be written down."""

from __future__ import annotations

import math

import pytest
import torch
from tone_examples import seeded
from torch import Tensor
from torch.nn import functional

from model.training.bimodal_losses import (
    consistency_loss,
    contrastive_loss,
    equal_texts,
    loudness_weight,
    unsupervised_loss,
    weighted_l1,
)


def positive(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=seeded(seed), dtype=torch.float64) + 0.1


def test_loud_bins_weigh_more_within_bounds() -> None:
    weight = loudness_weight(torch.tensor([0.0, 1.0, math.e - 1.0, 1e9]))
    assert weight.tolist() == pytest.approx([1e-3, math.log(2.0), 1.0, 10.0])


def test_weighted_l1_by_hand() -> None:
    predicted, target = torch.tensor([1.0, 5.0]), torch.tensor([2.0, 2.0])
    assert float(weighted_l1(predicted, target, torch.tensor([0.5, 1.0]))) == pytest.approx((0.5 + 3.0) / 2)


def test_masks_that_give_the_sounds_cost_nothing() -> None:
    sounds = positive(2, 2, 4, 3)
    mixture = sounds.sum(dim=1)
    masks = sounds / mixture[:, None]
    assert float(unsupervised_loss(masks, mixture, sounds)) < 1e-12
    halves = torch.stack([0.25 * masks, 0.75 * masks], dim=2)  # two phrases that add up to the sound
    assert float(consistency_loss(halves, torch.ones(2, 2, 2), mixture, sounds)) < 1e-12
    assert float(consistency_loss(halves[:, :, :1], torch.ones(2, 2, 1), mixture, sounds)) > 0.1  # one of them does not


def test_a_repeated_phrase_counts_once() -> None:
    sounds = positive(1, 2, 4, 3)
    mixture = sounds.sum(dim=1)
    one, other = 0.5 * positive(1, 2, 4, 3, seed=1), 0.5 * positive(1, 2, 4, 3, seed=2)
    both = consistency_loss(torch.stack([one, other], dim=2), torch.ones(1, 2, 2), mixture, sounds)
    shares = torch.tensor([0.5, 1.0, 0.5]).expand(1, 2, 3)
    repeated = consistency_loss(torch.stack([one, other, one], dim=2), shares, mixture, sounds)
    assert float(repeated) == pytest.approx(float(both))


def test_losses_add_up_over_sounds_and_are_means_over_the_rest() -> None:
    sounds, masks = positive(3, 2, 4, 5), positive(3, 2, 4, 5, seed=1)
    mixture = sounds.sum(dim=1)
    by_hand, consistent = 0.0, 0.0
    for s in range(2):
        error = (mixture * masks[:, s] - sounds[:, s]).abs()
        by_hand += float((torch.log1p(mixture) * error).mean())  # the mixture decides what weighs
        consistent += float((torch.log1p(sounds[:, s]) * error).mean())  # the sound does
    assert float(unsupervised_loss(masks, mixture, sounds)) == pytest.approx(by_hand)
    assert float(consistency_loss(masks[:, :, None], torch.ones(3, 2, 1), mixture, sounds)) == pytest.approx(consistent)


def test_contrast_of_orthogonal_embeddings_is_known() -> None:
    count, scale = 5, 8.0
    eye, names = torch.eye(count), list("abcde")
    right = math.log(1.0 + (count - 1) * math.exp(-scale))
    assert float(contrastive_loss(eye, eye, names, scale)) == pytest.approx(right, abs=1e-6)
    assert float(contrastive_loss(eye, eye, names, 100.0)) < 1e-6
    wrong = contrastive_loss(eye.roll(1, 0), eye, names, scale)
    assert float(wrong) == pytest.approx(right + scale, abs=1e-5)


def test_stems_that_tell_nothing_cost_the_logarithm_of_the_items() -> None:
    text = functional.normalize(torch.randn(7, 4, generator=seeded()), dim=-1)
    nothing = torch.zeros(7, 4)
    assert float(contrastive_loss(nothing, text, list("abcdefg"), 14.0)) == pytest.approx(math.log(7.0), abs=1e-6)


def test_equal_texts_share_the_target_evenly_and_do_not_repel_each_other() -> None:
    assert equal_texts(["a", "b", "a"]).tolist() == [[0.5, 0.0, 0.5], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]]
    vectors = torch.eye(2)[[0, 1, 0]]  # "a", "b", "a"
    least = contrastive_loss(vectors, vectors, ["a", "b", "a"], 100.0)
    assert float(least) == pytest.approx(2.0 / 3.0 * math.log(2.0), abs=1e-5)  # log 2 for each "a", none for "b"
    audio = vectors.clone().requires_grad_()
    contrastive_loss(audio, vectors, ["a", "b", "a"], 100.0).backward()
    assert audio.grad is not None
    assert float(audio.grad.abs().max()) < 1e-6  # right answers are left alone
    audio.grad = None
    contrastive_loss(
        audio, vectors + 0.01 * torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 1.0]]), list("abc"), 100.0
    ).backward()
    assert float(audio.grad.abs().max()) > 1e-3  # as they would not be on the diagonal alone


def test_gradients_are_those_of_finite_differences() -> None:
    sounds, shares = positive(2, 2, 3, 2), torch.tensor([0.5, 0.5, 1.0]).double().expand(2, 2, 3)
    mixture = sounds.sum(dim=1)
    masks, many = positive(2, 2, 3, 2, seed=1).requires_grad_(), positive(2, 2, 3, 3, 2, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda m: unsupervised_loss(m, mixture, sounds), masks)
    assert torch.autograd.gradcheck(lambda m: consistency_loss(m, shares, mixture, sounds), many)
    audio, text = positive(4, 3).requires_grad_(), positive(4, 3, seed=1)
    assert torch.autograd.gradcheck(lambda a: contrastive_loss(a, text, ["x", "y", "x", "z"], 5.0), audio)
