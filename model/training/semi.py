"""The semi-supervised objective: weak supervision on clips of several sounds, and single sounds on top.

    loss = weak(weak examples) + weight * supervised(single examples)

Source: the idea is that of the bi-modal paper (arXiv 2404.01740), whose code has no semi-supervised recipe; the sum and
its weight are our choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from model.training.examples import Examples, Objective


@dataclass(frozen=True)
class SemiObjective:
    """`objective(weak_examples, single_examples, generator)` returns "loss" and the terms of both parts, under names
    that begin with "weak_" and "single_"."""

    weak: Objective
    supervised: Objective
    single_weight: float = 1.0
    """Of the supervised part. Its loss is in dB, the weak one is a sum of magnitudes."""

    def __post_init__(self) -> None:
        if not 0.0 < self.single_weight < math.inf:
            raise ValueError(
                f"single_weight must be positive, got {self.single_weight}; without single sounds, train the weak part"
            )

    def __call__(
        self, weak_examples: Examples, single_examples: Examples, generator: torch.Generator
    ) -> dict[str, Tensor]:
        weak = self.weak(weak_examples, generator)
        single = self.supervised(single_examples, generator)
        told = {"weak": weak, "single": single}
        return {
            "loss": weak["loss"] + self.single_weight * single["loss"],
            **{f"{part}_{name}": value.detach() for part, terms in told.items() for name, value in terms.items()},
        }
