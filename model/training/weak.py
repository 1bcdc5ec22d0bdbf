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
from model.separator import Condition, Mask, MaskNetwork
from model.towers import Towers
from model.training.bimodal_losses import consistency_loss, contrastive_loss, unsupervised_loss
from model.training.examples import Examples
from model.training.phrases import choose_phrases, split_caption
from model.training.query_texts import TextQueries
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
    share of stems whose nearest words are their own. Without a weight the contrast is neither computed nor told.

    `towers` must be frozen and in eval mode; gradients pass through the audio tower to the stems.
    """

    def __init__(self, network: MaskNetwork, towers: Towers, settings: WeakSettings = WeakSettings()) -> None:
        if towers.training or any(weight.requires_grad for weight in towers.parameters()):
            raise ValueError("the towers judge the stems, they do not learn: call towers.requires_grad_(False).eval()")
        self.network, self.towers, self.settings = network, towers, settings
        self._resample = Resample(network.sample_rate, towers.sample_rate)
        self._texts = TextQueries(towers)

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
        mask = network.mask(features.select(rows), self.condition(words.texts).to(device))
        bins = network.on_bins(mask)[..., : mixture.shape[-1]]  # (Q, F, N)
        captions, phrases, shares = (part.to(device) for part in (words.captions, words.phrases, words.shares))
        unsupervised = unsupervised_loss(bins[captions], mixture, sounds)
        consistency = consistency_loss(bins[phrases], shares, mixture, sounds)
        loss = settings.consistency_weight * consistency + settings.unsupervised_weight * unsupervised
        told = {"consistency": consistency.detach(), "unsupervised": unsupervised.detach()}
        if settings.contrastive_weight > 0.0:
            asked, places = torch.unique(phrases, return_inverse=True)
            stems = network.render(Mask(mask.bands[asked]), spectra[rows[asked], :1], samples)[:, 0]
            contrastive, hit = self._contrast(stems, places, [words.texts[query] for query in asked.tolist()])
            loss = loss + settings.contrastive_weight * contrastive
            told |= {"contrastive": contrastive.detach(), "phrase_hit": hit}
        return {"loss": loss, **told}

    def condition(self, texts: Sequence[str]) -> Condition:
        """What the network is told of queries in words, [Q, 2 D]: they are wanted, nothing is unwanted."""
        return positive_sides(self._embed(texts)).condition

    def _words(self, examples: Examples, generator: torch.Generator) -> _Words:
        """Every text of a mixture is one query, however often it occurs there."""
        queries: dict[tuple[int, str], int] = {}

        def query(row: int, text: str) -> int:
            return queries.setdefault((row, text), len(queries))

        captions, phrases, shares = list[list[int]](), list[list[list[int]]](), list[list[tuple[float, ...]]]()
        for row, (whole, named) in enumerate(zip(examples.captions, examples.phrases, strict=True)):
            if not all(whole):
                raise ValueError(f"mixture {row} has a sound without a caption, got {whole}; draw clips with words")
            captions.append([query(row, caption) for caption in whole])
            chosen = [
                choose_phrases(parts or split_caption(caption), self.settings.phrases, generator)
                for caption, parts in zip(whole, named, strict=True)
            ]
            phrases.append([[query(row, text) for text in choice.texts] for choice in chosen])
            shares.append([choice.shares for choice in chosen])
        texts, rows = [text for _, text in queries], [row for row, _ in queries]
        return _Words(texts, rows, torch.tensor(captions), torch.tensor(phrases), torch.tensor(shares))

    def _contrast(self, stems: Tensor, places: Tensor, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The contrastive loss of distinct `stems` [Q', T] of `texts`, which fill the places [B, S, K], and the share
        of hits. Every S is a batch of its own of K * B items."""
        if self.towers.sample_rate != self.network.sample_rate:
            stems = self._resample.to(stems.device)(stems)
        audio, vectors = self.towers.embed_audio(stems), self._embed(texts).to(stems.device)
        losses, hits = list[Tensor](), list[float]()
        with torch.autocast(stems.device.type, enabled=False):
            for items in places.transpose(0, 1).flatten(1):  # (K B) each
                named = [texts[item] for item in items.tolist()]
                losses.append(contrastive_loss(audio[items], vectors[items], named, self.settings.scale))
                nearest = (audio[items] @ vectors[items].T).argmax(dim=1).tolist()
                hits += [float(named[place] == own) for place, own in zip(nearest, named, strict=True)]
        return torch.stack(losses).sum(), torch.tensor(hits).mean()

    @torch.no_grad()
    def _embed(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors [Q, D]."""
        return torch.stack([self._texts.vector(text) for text in texts])
