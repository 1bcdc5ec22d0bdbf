"""Lists of manipulations in a recipe: built, fitted, refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from made_examples import seeded
from torch.nn import functional

from model.training.manipulation_list import (
    Fitting,
    ManipulationError,
    check_manipulations,
    manipulations_of,
    needs_fitting,
)

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


def test_fitted_twice_on_the_same_they_manipulate_the_same() -> None:
    for first, second in zip(manipulations_of(ALL, FITTING), manipulations_of(ALL, FITTING), strict=True):
        assert torch.equal(first(units(5, 3), seeded()), second(units(5, 3), seeded()))


def test_a_list_is_checked_before_there_are_vectors() -> None:
    check_manipulations(ALL)
    with pytest.raises(ManipulationError, match="no manipulation 'dropout'"):
        check_manipulations([{"dropout": 0.5}])
    with pytest.raises(ManipulationError, match=r"1\.5 will not do"):
        check_manipulations([{"embedding_dropout": 1.5}])


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


def test_fitted_ones_want_vectors() -> None:
    with pytest.raises(ManipulationError, match="fitted on vectors of texts, and there are none"):
        manipulations_of(ALL[:1], Fitting(audio=units(5, 1)))
    with pytest.raises(ManipulationError, match="fitted on vectors of sounds, and there are none"):
        manipulations_of(ALL[5:])
