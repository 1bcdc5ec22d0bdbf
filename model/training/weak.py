"""The weakly supervised objective: clips of several sounds with captions, mixed, and separated by their words.

    M                    a mixture of S clips that are mixtures themselves
    caption of a clip    must take that clip out of M                           mix and separate
    its K phrases        must take what adds up to it, and each what it names   consistency, contrast by CLAP
    loss                 0.5 * contrastive + 5 * (consistency + unsupervised)

Source: BiModalAudioSeparation (arXiv 2404.01740); `bimodal_losses` has the equations. All masks are made from M, which
is encoded once; a phrase that fills several places is computed once. The single sounds are never seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.resample import Resample
from model.separator import Condition, Features, MaskNetwork
from model.towers import Towers
from model.training.bimodal_losses import consistency_loss, contrastive_loss, equal_texts, unsupervised_loss
from model.training.examples import Examples
from model.training.phrases import choose_phrases, split_caption
from model.training.sides import positive_sides


@dataclass(frozen=True)
class WeakSettings:
    """K and the weights; those of the paper's code on AudioCaps."""

    phrases: int = 3
    """K, how many phrases of every clip are asked for; the paper takes 2 where clips are made of two classes."""
    contrastive_weight: float = 0.5
    consistency_weight: float = 5.0
    unsupervised_weight: float = 5.0
    scale: float = 1.0 / 0.07
    """Of the cosines in the contrastive loss: where CLAP's own begins (our choice; the paper takes the learned one)."""

    def __post_init__(self) -> None:
        if self.phrases < 1:
            raise ValueError(f"at least one phrase of a clip is asked for, got {self.phrases = }")
        weights = (self.contrastive_weight, self.consistency_weight, self.unsupervised_weight)
        if min(weights) < 0.0 or max(weights) == 0.0:
            raise ValueError(f"weights must not be negative, and one must be positive, got {weights}")


@dataclass(frozen=True)
class _Words:
    """What a batch is asked for: `texts` by query, the mixture of each, and where the answers belong.

    `captions` [B, S] and `phrases` [B, S, K] are queries; `shares` [B, S, K] as in `ChosenPhrases`.
    """

    texts: list[str]
    rows: list[int]
    captions: Tensor
    phrases: Tensor
    shares: Tensor


class WeakObjective:
    """`objective(examples, generator)` returns "loss" and, detached, its parts before weighting; "phrase_hit" is the
    share of stems whose nearest words are their own.

    `towers` must be frozen and in eval mode; gradients pass through the audio tower to the stems. A network that attends
    to words gets no tokens here: override `condition`.
    """

    def __init__(self, network: MaskNetwork, towers: Towers, settings: WeakSettings = WeakSettings()) -> None:
        if towers.training or any(weight.requires_grad for weight in towers.parameters()):
            raise ValueError("the towers judge the stems, they do not learn: call towers.requires_grad_(False).eval()")
        self.network, self.towers, self.settings = network, towers, settings
        self._resample = Resample(network.sample_rate, towers.sample_rate)
        self._vectors: dict[str, Tensor] = {}

    def __call__(self, examples: Examples, generator: torch.Generator) -> dict[str, Tensor]:
        examples.expect_rate(self.network.sample_rate)
        network, settings, samples = self.network, self.settings, examples.mixture.shape[-1]
        device = examples.mixture.device
        words = self._words(examples, generator)
        with torch.no_grad():
            spectra = network.analyse(torch.cat([examples.mixture[:, None], examples.sounds], dim=1))
            mixture, sounds = spectra[:, 0].abs(), spectra[:, 1:].abs()  # (B, F, N), (B, S, F, N)
        features = network.encode(examples.mixture, spectra[:, 0])
        rows = torch.tensor(words.rows, device=device)
        mask = network.mask(features.select(rows), self.condition(words.texts, device))
        bins = network.on_bins(mask)[..., : mixture.shape[-1]]  # (Q, F, N)
        unsupervised = unsupervised_loss(bins[words.captions.to(device)], mixture, sounds)
        phrases, shares = words.phrases.to(device), words.shares.to(device)
        consistency = consistency_loss(bins[phrases], shares, mixture, sounds)
