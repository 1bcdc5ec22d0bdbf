"""Manipulations as a recipe writes them, a list of {name: value}, and their state as tensors.

    - mean_gap_shift: 1.0          share of the gap
    - embedding_dropout: 0.5       rate
    - gaussian_noise: 0.016        variance
    - mixup: [0.0, 0.3]            range of the other's share
    - pca_truncation: 64           directions kept
    - pca_whitening: 0.001         epsilon

Three are fitted on the towers' vectors of training sounds and texts: by the run that begins; one that is resumed takes
their state instead.
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


def manipulations_of(
    entries: Sequence[Mapping[str, Any]], fitting: Fitting | None = None, state: Mapping[str, Tensor] | None = None
) -> tuple[Manipulation, ...]:
    """The manipulations of a list, in its order.

    With `state` (see `state_of`) fitted ones are as they were, else they are fitted on `fitting`. Raises
    ManipulationError for an unknown name (it lists all), for a value that does not fit, and for want of vectors.
    """
    return tuple(_one(entry, number, fitting or Fitting(), state) for number, entry in enumerate(entries))


def state_of(manipulations: Sequence[Manipulation]) -> dict[str, Tensor]:
    """What fitted manipulations learned, by `<place in the list>.<name>`, on the CPU: for a checkpoint."""
    return {
        f"{number}.{name}": tensor.detach().cpu().clone()
        for number, manipulation in enumerate(manipulations)
        for name, tensor in manipulation.state_dict().items()
    }


def needs_fitting(entries: Sequence[Mapping[str, Any]]) -> bool:
    """True when a manipulation of the list is fitted."""
    return any(name in _FITTED for entry in entries for name in entry)


def _one(entry: Mapping[str, Any], number: int, fitting: Fitting, state: Mapping[str, Tensor] | None) -> Manipulation:
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise ManipulationError(f"manipulation {number} is {entry!r}, not one name with its value; {_NAMES}")
    ((name, value),) = entry.items()
    if name not in _PLAIN and name not in _FITTED:
        raise ManipulationError(f"there is no manipulation {name!r}; {_NAMES}")
    try:
        if name in _PLAIN:
            return _PLAIN[name](value)
        fit, restore = _FITTED[name]
        if state is None:
            return fit(fitting, value)
        prefix = f"{number}."
        own = {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}
        return restore(own, value)
    except KeyError as error:
        raise ManipulationError(
            f"the state holds no {error.args[0]} of manipulation {number}, {name}; it is of another list"
        ) from error
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


Fit = Callable[[Fitting, Any], Manipulation]
Restore = Callable[[Mapping[str, Tensor], Any], Manipulation]

_PLAIN: Final[dict[str, Callable[[Any], Manipulation]]] = {
    "embedding_dropout": lambda value: EmbeddingDropout(_number(value)),
    "gaussian_noise": lambda value: GaussianNoise(_number(value)),
    "mixup": _mixup,
}
_FITTED: Final[dict[str, tuple[Fit, Restore]]] = {
    "mean_gap_shift": (
        lambda vectors, value: MeanGapShift.fit(_audio(vectors), _text(vectors), _number(value)),
        lambda own, value: MeanGapShift(own["gap"], _number(value)),
    ),
    "pca_truncation": (
        lambda vectors, value: PcaTruncation.fit(_audio(vectors), _whole(value)),
        lambda own, value: PcaTruncation(own["mean"], own["axes"]),
    ),
    "pca_whitening": (
        lambda vectors, value: PcaWhitening.fit(_audio(vectors), _number(value)),
        lambda own, value: PcaWhitening(own["mean"], own["matrix"]),
    ),
}
_NAMES: Final = f"the names are {', '.join(sorted([*_PLAIN, *_FITTED]))}"
