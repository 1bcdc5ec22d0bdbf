"""The semi-supervised objective is the sum of its parts."""

from __future__ import annotations

import pytest
import torch
from small_model import small_separator
from tone_examples import TextSource, ToneTowers, paired_tone_examples, seeded, tone_examples

from model.training.semi import SemiObjective
from model.training.supervised import SupervisedObjective
from model.training.weak import WeakObjective, WeakSettings


def objective(single_weight: float = 1.0) -> SemiObjective:
    network = small_separator()
    weak = WeakObjective(network, ToneTowers(), WeakSettings(phrases=2))
    return SemiObjective(weak, SupervisedObjective(network, TextSource()), single_weight)


def test_the_loss_is_the_sum_of_both_and_all_terms_are_told_apart() -> None:
    semi = objective(single_weight=0.5)
    terms = semi(paired_tone_examples(0), tone_examples(0), seeded())
    assert terms["loss"].requires_grad
    told = {name: float(term.detach()) for name, term in terms.items()}
    assert told["loss"] == pytest.approx(told["weak_loss"] + 0.5 * told["single_loss"], rel=1e-5)
    assert {"weak_contrastive", "weak_phrase_hit", "single_snr_db", "single_presence"} <= set(told)
    generator = seeded()
    with torch.no_grad():  # one generator goes through both, the weak part first
        weak, single = semi.weak(paired_tone_examples(0), generator), semi.supervised(tone_examples(0), generator)
    assert told["weak_loss"] == pytest.approx(float(weak["loss"]), rel=1e-5)
    assert told["single_loss"] == pytest.approx(float(single["loss"]), rel=1e-5)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="single_weight must be positive"):
        objective(weight)
