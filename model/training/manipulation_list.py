"""Manipulations as a recipe writes them, a list of {name: value}.

    - mean_gap_shift: 1.0          share of the gap
    - embedding_dropout: 0.5       rate
    - gaussian_noise: 0.016        variance
    - mixup: [0.0, 0.3]            range of the other's share
    - pca_truncation: 64           directions kept
    - pca_whitening: 0.001         epsilon

Three are fitted on the towers' vectors of training sounds and texts: those of the first steps, which are the same
whenever a run goes on. They change what the network is asked with in training alone, so PCA truncation and whitening
leave it to the network to make sense of whole texts later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor

from model.training.manipulations import (
    EmbeddingDropout,
    GaussianNoise,
    Manipulation,
    MeanGapShift,
    Mixup,
    PcaTruncation,
    PcaWhitening,
)


class ManipulationError(ValueError):
    """The list cannot be used; the message names the entry."""


@dataclass(frozen=True)
class Fitting:
    """What manipulations are fitted on: unit vectors of sounds [N, D], and of texts [M, D]."""

    audio: Tensor | None = None
    text: Tensor | None = None


def manipulations_of(entries: Sequence[Mapping[str, Any]], fitting: Fitting | None = None) -> tuple[Manipulation, ...]:
    """The manipulations of a list, in its order; some are fitted on `fitting`.

    Raises ManipulationError for an unknown name (it lists all), for a value that does not fit, and for want of vectors.
    """
    return tuple(_one(entry, number, fitting or Fitting()) for number, entry in enumerate(entries))


def check_manipulations(entries: Sequence[Mapping[str, Any]]) -> None:
    """Raise ManipulationError for what can be told to be wrong with a list before there are vectors."""
    for number, entry in enumerate(entries):
        if set(entry) & set(_FITTED) and len(entry) == 1:
            continue
        _one(entry, number, Fitting())


def needs_fitting(entries: Sequence[Mapping[str, Any]]) -> bool:
    """True when a manipulation of the list is fitted."""
    return any(name in _FITTED for entry in entries for name in entry)


def _one(entry: Mapping[str, Any], number: int, fitting: Fitting) -> Manipulation:
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise ManipulationError(f"manipulation {number} is {entry!r}, not one name with its value; {_NAMES}")
    ((name, value),) = entry.items()
    if name not in _PLAIN and name not in _FITTED:
        raise ManipulationError(f"there is no manipulation {name!r}; {_NAMES}")
    try:
        return _PLAIN[name](value) if name in _PLAIN else _FITTED[name](fitting, value)
    except (TypeError, ValueError) as error:
        raise ManipulationError(f"manipulation {number}, {name}: {value!r} will not do: {error}") from error


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("a number is wanted")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("a whole number is wanted")
    return value


def _mixup(value: Any) -> Mixup:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise TypeError("a range is wanted, [low, high]")
    return Mixup(_number(value[0]), _number(value[1]))


def _audio(fitting: Fitting) -> Tensor:
    if fitting.audio is None:
        raise ValueError("it is fitted on vectors of sounds, and there are none")
    return fitting.audio


def _text(fitting: Fitting) -> Tensor:
    if fitting.text is None:
        raise ValueError("it is fitted on vectors of texts, and there are none")
    return fitting.text


_PLAIN: Final[dict[str, Callable[[Any], Manipulation]]] = {
    "embedding_dropout": lambda value: EmbeddingDropout(_number(value)),
    "gaussian_noise": lambda value: GaussianNoise(_number(value)),
    "mixup": _mixup,
}
_FITTED: Final[dict[str, Callable[[Fitting, Any], Manipulation]]] = {
    "mean_gap_shift": lambda vectors, value: MeanGapShift.fit(_audio(vectors), _text(vectors), _number(value)),
    "pca_truncation": lambda vectors, value: PcaTruncation.fit(_audio(vectors), _whole(value)),
    "pca_whitening": lambda vectors, value: PcaWhitening.fit(_audio(vectors), _number(value)),
}
_NAMES: Final = f"the names are {', '.join(sorted([*_PLAIN, *_FITTED]))}"
