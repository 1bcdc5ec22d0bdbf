"""Lists of manipulations in a recipe: built, fitted, restored, refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from made_examples import seeded
from torch.nn import functional

from model.training.manipulation_list import Fitting, ManipulationError, manipulations_of, needs_fitting, state_of

ALL: list[dict[str, Any]] = [
    {"mean_gap_shift": 0.5},
    {"embedding_dropout": 0.25},
    {"gaussian_noise": 0.01},
    {"mixup": [0.0, 0.3]},
    {"pca_truncation": 4},
    {"pca_whitening": 0.001},
]


def units(count: int, seed: int) -> torch.Tensor:
    return functional.normalize(torch.randn(count, 8, generator=seeded(seed)), dim=-1)


FITTING = Fitting(audio=units(60, 1), text=units(40, 2))


def test_a_list_becomes_manipulations_in_its_order() -> None:
    names = [type(m).__name__ for m in manipulations_of(ALL, FITTING)]
    assert names == ["MeanGapShift", "EmbeddingDropout", "GaussianNoise", "Mixup", "PcaTruncation", "PcaWhitening"]
    assert manipulations_of([]) == ()
    assert needs_fitting(ALL)
    assert not needs_fitting(ALL[1:4])


def test_a_resumed_run_manipulates_as_before_without_fitting_again(tmp_path: Path) -> None:
    before = manipulations_of(ALL, FITTING)
    torch.save(state_of(before), tmp_path / "state.pt")
    after = manipulations_of(ALL, state=torch.load(tmp_path / "state.pt", weights_only=True))
    for first, second in zip(before, after, strict=True):
        assert torch.equal(first(units(5, 3), seeded()), second(units(5, 3), seeded()))


def test_the_state_holds_what_was_fitted_alone() -> None:
    assert set(state_of(manipulations_of(ALL, FITTING))) == {"0.gap", "4.mean", "4.axes", "5.mean", "5.matrix"}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"dropout": 0.5},
            r"no manipulation 'dropout'; the names are embedding_dropout, gaussian_noise, mean_g",
        ),
        ({"mixup": 0.5}, r"manipulation 0, mixup: 0.5 will not do: a range is wanted"),
        ({"embedding_dropout": "much"}, r"'much' will not do: a number is wanted"),
        ({"embedding_dropout": 1.5}, r"1.5 will not do: .* from 0 to below 1"),
        ({"pca_truncation": 2.5}, r"a whole number is wanted"),
        ({"mixup": [0, 1], "gaussian_noise": 0.1}, r"not one name with its value"),
        ("mixup", r"manipulation 0 is 'mixup', not one name with its value"),
    ],
)
def test_what_is_wrong_with_an_entry_is_said(entry: Any, said: str) -> None:
    with pytest.raises(ManipulationError, match=said):
        manipulations_of([entry], FITTING)


def test_fitted_ones_want_vectors_or_their_own_state() -> None:
    with pytest.raises(ManipulationError, match="fitted on vectors of texts, and there are none"):
        manipulations_of(ALL[:1], Fitting(audio=units(5, 1)))
    with pytest.raises(ManipulationError, match="fitted on vectors of sounds, and there are none"):
        manipulations_of(ALL[5:])
    with pytest.raises(ManipulationError, match="the state holds no gap of manipulation 0, mean_gap_shift"):
        manipulations_of(ALL, state={})
