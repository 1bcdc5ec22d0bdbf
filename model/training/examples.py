"""What a training step sees, and the two parts that a scheme is made of.

    examples  = mixtures, the sounds that add up to them, words for each sound       the same for every scheme
    queries   : examples -> unit vectors [B, S, D], what the network is asked for     text, audio, retrieved text
    objective : examples -> loss terms                                                supervised, or weakly so

Shape letters: S sounds of a mixture. A sound is what can be asked for as a whole; in weak training it is itself a
mixture of several, and `phrases` names them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@dataclass(frozen=True)
class Examples:
    """Mixtures of one step, as float32 at `sample_rate`.

    `mixture`: Tensor[B, T]; `sounds`: Tensor[B, S, T], which add up to it. `captions[b][s]` tells the whole sound in
    words, empty where nobody knows any; `phrases[b][s]` names the single sounds in it, one or several. `exemplars`:
    Tensor[B, S, T], for each sound a recording of the same kind to ask by, where they were drawn.
    """

    mixture: Tensor
    sounds: Tensor
    captions: tuple[tuple[str, ...], ...]
    phrases: tuple[tuple[tuple[str, ...], ...], ...]
    sample_rate: int
    exemplars: Tensor | None = None

    def __post_init__(self) -> None:
        batch, count, _ = self.sounds.shape
        if self.mixture.shape != (batch, self.sounds.shape[-1]):
            raise ValueError(f"sounds [B, S, T] and a mixture [B, T]: {self.sounds.shape = }, {self.mixture.shape = }")
        for name, words in (("captions", self.captions), ("phrases", self.phrases)):
            if [len(row) for row in words] != [count] * batch:
                raise ValueError(f"{name} for each of {batch} x {count} sounds, got {[len(row) for row in words]}")

    def __len__(self) -> int:
        return self.mixture.shape[0]

    def expect_rate(self, sample_rate: int) -> None:
        """Raises ValueError unless the sounds are at the rate of whoever is to hear them."""
        if self.sample_rate != sample_rate:
            raise ValueError(
                f"the examples are at {self.sample_rate} Hz, the network works at {sample_rate} Hz; "
                "draw them at its rate"
            )

    def to(self, device: str | torch.device) -> Examples:
        """The same on a device."""
        exemplars = None if self.exemplars is None else self.exemplars.to(device)
        return replace(self, mixture=self.mixture.to(device), sounds=self.sounds.to(device), exemplars=exemplars)


class QuerySource(Protocol):
    """What the sounds of examples are asked for with."""

    def __call__(self, examples: Examples, generator: torch.Generator) -> Tensor:
        """Unit vectors [B, S, D] in the space of the CLAP towers, one for every sound."""


@runtime_checkable
class PlainSource(Protocol):
    """A query source whose vectors are drawn at random, or changed on purpose, and that knows them without that."""

    def plain(self, examples: Examples) -> Tensor:
        """Unit vectors [B, S, D] as they were; the same whenever they are asked for."""


class Objective(Protocol):
    """What a step of a scheme lowers. Every random number comes from `generator`: same seed and examples, same loss."""

    def __call__(self, examples: Examples, generator: torch.Generator) -> dict[str, Tensor]:
        """Terms, scalars each; "loss" is differentiated, the others are told."""
