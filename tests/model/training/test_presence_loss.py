"""The presence loss: which queries count as foreign, which frames are judged, and what a perfect answer costs."""

from __future__ import annotations

import pytest
import torch
from small_model import RATE
from tone_examples import seeded
from torch import Tensor
from torch.nn import functional

from model.training.examples import Examples
from model.training.presence_loss import Candidates, candidates_of, frame_energy, presence_loss

WORDS = (("a dog", "rain"), ("A dog.", "wind and a bell"), ("", "bell"))
PHRASES = (((), ("rain",)), ((), ("wind", "a bell")), ((), ()))


def examples(words: tuple[tuple[str, ...], ...] = WORDS) -> Examples:
    return Examples(torch.full((3, 8), 2.0), torch.ones(3, 2, 8), words, PHRASES, RATE)


def apart(count: int = 6) -> Tensor:
    """Queries that have nothing in common: [3, 2, 6]."""
    return torch.eye(count).reshape(3, 2, count)


def test_queries_fit_their_own_sound_and_equal_words_and_are_foreign_elsewhere() -> None:
    found = candidates_of(examples(), apart(), likeness=0.9)
    present = found.present.amax(dim=1)
    assert present.tolist() == [[1, 1, 1, 0, 0, 0], [1, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1]]
    assert found.present[0, 0].tolist() == [1, 0, 1, 0, 0, 0]  # "a dog" is "A dog."
    assert found.foreign.int().tolist() == [[0, 0, 0, 1, 1, 1], [0, 1, 0, 0, 1, 1], [1, 1, 1, 1, 0, 0]]
    assert bool(found.valid[found.present.amax(dim=1) > 0].all())


def test_what_asks_for_a_silent_sound_is_foreign_to_its_mixture_unless_it_fits_another() -> None:
    given = examples((("a dog", "rain"), ("a dog", "A dog."), ("a hum", "bell")))
    given.sounds[0, 1] = given.sounds[1, 1] = given.sounds[2, 1] = 0.0
    vectors = apart()
    vectors[2, 1] = vectors[2, 0]  # other words for a hum
    found = candidates_of(given, vectors, likeness=0.9)
    assert found.foreign[0, 1]
    assert found.present[1, :, 3].tolist() == [1, 0]
    assert (bool(found.foreign[2, 5]), float(found.valid[2, 5])) == (False, 0.0)
    assert found.foreign[1, 1]  # nothing rains anywhere


def test_a_query_that_asks_for_a_part_or_for_more_is_not_judged() -> None:
    words = (("a dog", "rain"), ("a hum", "wind and a bell"), ("", "a bell"))
    found = candidates_of(examples(words), apart(), likeness=0.9)
    assert found.present[1, :, 5].tolist() == [0, 1]  # a bell is a part of the second sound
    assert found.present[2, :, 3].tolist() == [0, 0]  # but where a bell is alone, the whole is not there,
    assert found.valid[2, 3] == 0.0  # and not foreign either
    assert not found.foreign[2, 3]


def test_queries_that_are_alike_are_nobodys_foreign_sound() -> None:
    vectors = apart()
    vectors[1, 1] = functional.normalize(vectors[0, 1] + 0.3 * vectors[1, 1], dim=0)  # close to the rain
    found = candidates_of(examples(), vectors, likeness=0.9)
    assert not found.foreign[0, 3]
    assert found.valid[0, 3] == 0.0
    assert candidates_of(examples(), vectors, likeness=0.99).foreign[0, 3]


def test_without_captions_queries_alone_decide() -> None:
    unknown = Examples(torch.full((3, 8), 2.0), torch.ones(3, 2, 8), (("", ""),) * 3, (((), ()),) * 3, RATE)
    found = candidates_of(unknown, apart(), likeness=0.9)
    assert torch.equal(found.present.reshape(6, 6), torch.eye(6))
    assert found.foreign.sum() == 3 * 4


def test_energy_is_counted_per_frame_and_silence_follows_the_end() -> None:
    sound = torch.arange(10.0).expand(2, 3, 10)
    whole = [0 + 1 + 4 + 9, 16 + 25 + 36 + 49, 64 + 81, 0]
    assert frame_energy(sound, 4, 4)[0, 0].tolist() == pytest.approx(whole, rel=1e-6)
    assert frame_energy(sound, 4, 2)[0, 0].tolist() == pytest.approx(whole[:2], rel=1e-6)


ENERGY = torch.tensor([[[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 10**-3.5, 1e-3], [1e-9, 1.0, 1.0, 1.0]]])
"""A mixture, a sound that is there in the first frame and in the third perhaps, and one that is there from the second
frame on; both are unsure or faint elsewhere."""


def judged(present: list[list[float]], valid: list[float]) -> tuple[Tensor, Tensor]:
    """Gradient [Q, 4] at even odds, and the loss there."""
    logits = torch.zeros(1, len(valid), 4, dtype=torch.float64, requires_grad=True)
    candidates = Candidates(torch.tensor([present]).double(), torch.tensor([valid]).double())
    loss = presence_loss(logits, ENERGY.double(), candidates)
    return torch.autograd.grad(loss, logits)[0][0], loss.detach()


def test_frames_pull_up_where_a_sound_is_clearly_there_and_down_where_it_is_clearly_gone() -> None:
    pull, loss = judged([[1.0], [0.0]], [1.0])
    assert pull[0, 0] < 0.0 < pull[0, 1]
    assert pull[0, 2] == 0.0  # 35 dB below its loudest frame: nobody knows
    assert -pull[0, 0] == pytest.approx(4.0 * float(pull[0, 1]))
    assert float(loss) == pytest.approx(0.6931, abs=1e-4)


def test_a_faint_sound_is_not_there() -> None:
    quiet = ENERGY.clone().double()
    quiet[:, 0] = 1000.0  # the mixture is 30 dB above both
    logits = torch.zeros(1, 1, 4, dtype=torch.float64, requires_grad=True)
    candidates = Candidates(torch.tensor([[[1.0], [0.0]]]), torch.ones(1, 1))
    pull = torch.autograd.grad(presence_loss(logits, quiet, candidates), logits)[0][0, 0]
    assert bool((pull >= 0.0).all())


def test_foreign_queries_pull_down_everywhere_and_unjudged_ones_nowhere() -> None:
    pull, _ = judged([[0.0, 0.0], [0.0, 0.0]], [1.0, 0.0])
    assert bool((pull[0] > 0.0).all())
    assert not pull[1].any()


def test_certainty_costs_nothing_when_right() -> None:
    candidates = Candidates(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]), torch.ones(1, 2))
    sure = torch.tensor([[[40.0, -40.0, 3.0, -40.0], [-40.0, 40.0, 40.0, 40.0]]])
    assert float(presence_loss(sure, ENERGY, candidates)) < 1e-6
    assert float(presence_loss(-sure, ENERGY, candidates)) > 30.0


def test_gradients_are_those_of_finite_differences() -> None:
    logits = torch.randn(1, 2, 4, generator=seeded(), dtype=torch.float64).requires_grad_()
    candidates = Candidates(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]).double(), torch.ones(1, 2).double())
    assert torch.autograd.gradcheck(lambda x: presence_loss(x, ENERGY.double(), candidates), logits)
