"""The supervised objective: every sound of a mixture is asked for, and its stem is compared with the sound itself.

    spectrum, features = of the mixtures, once
    stems              = of all (mixture, sound) pairs, and of a few (mixture, foreign query) pairs
    loss               = waveform loss of the sounds + silence of the foreign ones + presence, frame by frame

Source: CLAPSep (arXiv 2402.17455) for the waveform loss and the sides; that one encoded mixture answers all its
queries, foreign queries and presence are our choices.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.conditions import Sides
from model.separator import Features, MaskNetwork, Separator
from model.training.examples import Examples, PlainSource, QuerySource
from model.training.presence_loss import Candidates, candidates_of, frame_energy, presence_loss
from model.training.sides import SideShares, positive_sides
from model.training.waveform_loss import WaveformLoss, is_silent, si_snr_db, snr_db


@dataclass(frozen=True)
class SupervisedSettings:
    """Shares and weights. `SupervisedSettings(absent_share=0.0, presence_weight=0.0)` is CLAPSep's objective."""

    sides: SideShares = field(default_factory=SideShares)
    waveform: WaveformLoss = field(default_factory=WaveformLoss)
    absent_share: float = 0.25
    """Part of the mixtures that are also asked for a sound of another one, whose stem must be silent."""
    silence_weight: float = 0.03
    """Of stems that must be silent, against 1 for those that must sound; both are in dB. That of the mini recipe."""
    presence_weight: float = 4.0
    """Of the presence loss, where the network tells presence. That of the mini recipe."""
    likeness: float = 0.9
    """Queries of this cosine, or a higher one, may ask for the same: they are nobody's foreign sound. Our choice."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.absent_share <= 1.0:
            raise ValueError(f"absent_share is a part of the mixtures, from 0 to 1, got {self.absent_share}")
        if min(self.silence_weight, self.presence_weight) < 0.0:
            raise ValueError(
                f"weights must not be negative, got {self.silence_weight = } and {self.presence_weight = }"
            )


class SupervisedObjective:
    """`objective(examples, generator)` returns "loss" and, detached from it, what it is made of.

    "snr_db" and "si_sdri_db": means over the sounds that are heard, the latter as improvement over the mixture;
    "leak_db": mean level of the stems that must be silent, where there are any; "presence", where the network tells
    it.
    """

    def __init__(
        self, network: MaskNetwork, source: QuerySource, settings: SupervisedSettings = SupervisedSettings()
    ) -> None:
        self.network, self.source, self.settings = network, source, settings

    def __call__(self, examples: Examples, generator: torch.Generator) -> dict[str, Tensor]:
        examples.expect_rate(self.network.sample_rate)
        network, settings = self.network, self.settings
        mixture, sounds = examples.mixture, examples.sounds
        batch, count, samples = sounds.shape
        vectors = self.source(examples, generator).to(mixture.device)
        candidates = candidates_of(examples, self._plain(examples, vectors), settings.likeness)
        sides = settings.sides.draw(vectors, generator)
        guests, foreign = self._foreign(candidates, generator)
        absent = positive_sides(vectors.flatten(0, 1)[foreign.to(mixture.device)])
        asked = Sides(torch.cat([sides.positive, absent.positive]), torch.cat([sides.negative, absent.negative]))
        rows = torch.cat([torch.arange(batch).repeat_interleave(count), guests]).to(mixture.device)
        targets = torch.cat([sounds.flatten(0, 1), sounds.new_zeros(len(guests), samples)])

        with torch.no_grad():
            spectrum = network.analyse(mixture[:, None])  # (B, 1, F, N)
        features = network.encode(mixture, spectrum[:, 0])
        mask = network.mask(features.select(rows), asked.condition)
        stems = network.render(mask, spectrum[rows], samples)[:, 0]  # (P, T)
        terms = self._stem_terms(stems, targets, mixture[rows])
        if isinstance(network, Separator) and settings.presence_weight > 0.0:
            presence = self._presence(network, features, examples, vectors, candidates)
            terms["loss"] = terms["loss"] + settings.presence_weight * presence
            terms["presence"] = presence.detach()
        return terms

    def _plain(self, examples: Examples, vectors: Tensor) -> Tensor:
        """The queries before anything was done to them on purpose: what tells whether two ask for the same."""
        needed = self.settings.absent_share > 0.0 or self.settings.presence_weight > 0.0
        return self.source.plain(examples) if needed and isinstance(self.source, PlainSource) else vectors

    def _foreign(self, candidates: Candidates, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Mixtures that are asked for what they do not hold, and the queries [B * S] that ask."""
        foreign = candidates.foreign.cpu()
        device = generator.device
        chosen = torch.rand(len(foreign), generator=generator, device=device) < self.settings.absent_share
        draw = torch.rand(foreign.shape, generator=generator, device=device).cpu()
        rows = torch.nonzero(chosen.cpu() & foreign.any(dim=1))[:, 0]
        return rows, torch.where(foreign, draw, -1.0)[rows].argmax(dim=1)

    def _stem_terms(self, stems: Tensor, targets: Tensor, mixture: Tensor) -> dict[str, Tensor]:
        waveform = self.settings.waveform
        quiet = is_silent(targets, mixture)
        heard = ~quiet
        sounding = waveform.sounding(stems[heard], targets[heard])
        leak = waveform.silent(stems[quiet], mixture[quiet])
        with torch.no_grad():
            own = (stems[heard], targets[heard])
            snr = snr_db(*own)
            gained = si_snr_db(*own) - si_snr_db(mixture[heard], targets[heard])  # in single precision: it is told only
        return {
            "loss": _mean_or_zero(sounding) + self.settings.silence_weight * _mean_or_zero(leak),
            "snr_db": _mean_or_zero(snr),
            "si_sdri_db": _mean_or_zero(gained),
        } | ({"leak_db": leak.detach().mean()} if quiet.any() else {})

    def _presence(
        self, network: Separator, features: Features, examples: Examples, vectors: Tensor, candidates: Candidates
    ) -> Tensor:
        logits = network.activity_logits(features, positive_sides(vectors.flatten(0, 1)).condition)  # (B, Q, N')
        everything = torch.cat([examples.mixture[:, None], examples.sounds], dim=1)
        energy = frame_energy(everything, network.activity_hop_samples, logits.shape[-1])
        return presence_loss(logits, energy, candidates)


def _mean_or_zero(values: Tensor) -> Tensor:
    """The mean of values [P]; of none 0, and differentiable all the same."""
    return values.sum() / max(1, len(values))
