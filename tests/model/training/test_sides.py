"""Sides in training: every sound against the others, one draw per batch."""

from __future__ import annotations

import pytest
import torch
from tone_examples import seeded
from torch import Tensor
from torch.nn import functional

from model.training.sides import SideShares, opposites


def vectors(batch: int, sounds: int, width: int = 6) -> Tensor:
    return functional.normalize(torch.randn(batch, sounds, width, generator=seeded(3)), dim=-1)


def test_the_opposite_of_one_of_two_is_the_other() -> None:
    pair = vectors(3, 2)
    assert torch.allclose(opposites(pair), pair.flip(1), atol=1e-6)


def test_the_opposite_of_one_of_three_is_the_sum_of_the_others_at_unit_length() -> None:
    three = vectors(2, 3)
    found = opposites(three)
    assert torch.allclose(found[:, 1], functional.normalize(three[:, 0] + three[:, 2], dim=-1), atol=1e-6)
    assert torch.allclose(found.norm(dim=-1), torch.ones(2, 3))


def test_sides_come_in_the_shares_that_were_asked_for() -> None:
    pair, generator = vectors(2, 2), seeded()
    counts = {"positive": 0, "negative": 0, "both": 0}
    for _ in range(2000):
        sides = SideShares(0.5, 0.2).draw(pair, generator)
        has = [bool(side.any(dim=1).all()) for side in (sides.positive, sides.negative)]
        assert has == [bool(side.any()) for side in (sides.positive, sides.negative)]  # one draw for the whole batch
        counts["both" if all(has) else "positive" if has[0] else "negative"] += 1
    assert counts["positive"] == pytest.approx(1000, abs=100)
    assert counts["negative"] == pytest.approx(400, abs=80)


def test_conditions_follow_the_sounds_mixture_by_mixture() -> None:
    pair = vectors(3, 2)
    condition = SideShares(0.0, 0.0).draw(pair, seeded()).condition.embedding
    for mixture in range(3):
        for sound in range(2):
            both = torch.cat([pair[mixture, sound], pair[mixture, 1 - sound]])
            assert torch.allclose(condition[2 * mixture + sound], both / 2**0.5, atol=1e-6)


def test_negatives_can_be_switched_off() -> None:
    generator = seeded()
    assert not any(SideShares(1.0, 0.0).draw(vectors(2, 2), generator).negative.any() for _ in range(50))


def test_a_sound_without_an_opposite_is_never_asked_for_by_nothing() -> None:
    alone = vectors(2, 1)
    cancelled = torch.cat([alone, alone[:, :1], -alone[:, :1]], dim=1)  # the others of the first add up to zero
    for shares in (SideShares(0.0, 1.0), SideShares(0.0, 0.0)):
        for given in (alone, cancelled):
            condition = shares.draw(given, seeded()).condition.embedding
            assert torch.allclose(condition.norm(dim=-1), torch.ones(len(condition)))


def test_the_same_generator_draws_the_same() -> None:
    pair = vectors(2, 2)
    runs = [[SideShares().draw(pair, generator).positive for _ in range(20)] for generator in (seeded(7), seeded(7))]
    assert all(torch.equal(one, other) for one, other in zip(*runs, strict=True))


def test_shares_beyond_the_whole_are_refused() -> None:
    with pytest.raises(ValueError, match=r"self.positive_only = 0.7, self.negative_only = 0.4"):
        SideShares(0.7, 0.4)
