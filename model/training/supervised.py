"""The supervised objective: every sound of a mixture is asked for, and its stem is compared with the sound itself.

    spectrum, features = of the mixtures, once
    masks              = of all (mixture, sound) pairs, and of a few (mixture, foreign query) pairs
    loss               = loss of the sounds' stems + silence of the foreign ones + presence, frame by frame

Stems are compared as waveforms or on mel bands. A silent sound is asked for only where its query means nothing
else that is in the mixture.

Source: CLAPSep (arXiv 2402.17455) for the waveform loss and the sides; that one encoded mixture answers all its
queries, foreign queries and presence are our choices.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from model.compact_clapsep import CompactCLAPSep
from model.conditions import Sides
from model.separator import Features, Mask, MaskNetwork, Separator
from model.training.band_loss import BandSpectra
from model.training.examples import Examples, PlainSource, QuerySource
from model.training.presence_loss import Candidates, candidates_of, frame_energy, presence_loss
from model.training.sides import SideShares, positive_sides
from model.training.waveform_loss import WaveformLoss, is_silent, si_snr_db, snr_db


@dataclass(frozen=True)
class SupervisedSettings:
    """Shares and weights. `SupervisedSettings(absent_share=0.0, presence_weight=0.0)` is CLAPSep's objective."""

    sides: SideShares = field(default_factory=SideShares)
    waveform: WaveformLoss = field(default_factory=WaveformLoss)
    measured_on: Literal["waveforms", "bands"] = "waveforms"
    """Where stems are compared: on bands nothing is rendered, which is quicker; the SI-SNR has no part in it."""
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


@dataclass(frozen=True)
class _Pairs:
    """Who is asked for what: mixtures `rows` [P] for their `sounds` [P], -1 for what another one holds; `heard` [P]:
    True where something should come."""

    rows: Tensor
    sounds: Tensor
    heard: Tensor
    sides: Sides


class SupervisedObjective:
    """`objective(examples, generator)` returns "loss" and, detached from it, what it is made of.

    "snr_db" and, on waveforms, "si_sdri_db": means over the sounds that are heard, the latter as improvement over the
    mixture;
    "leak_db": mean level of the stems that must be silent, where there are any; "presence", where the network tells
    it.
    """

    def __init__(
        self, network: MaskNetwork, source: QuerySource, settings: SupervisedSettings = SupervisedSettings()
    ) -> None:
        if settings.measured_on == "bands" and not isinstance(network, CompactCLAPSep):
            raise ValueError(
                f"supervised.measured_on is bands, and {type(network).__name__} has no masks on mel bands; set it to "
                "waveforms"
            )
        self.network, self.source, self.settings = network, source, settings

    def __call__(self, examples: Examples, generator: torch.Generator) -> dict[str, Tensor]:
        examples.expect_rate(self.network.sample_rate)
        network, settings = self.network, self.settings
        mixture, sounds = examples.mixture, examples.sounds
        vectors = self.source(examples, generator).to(mixture.device)
        candidates = candidates_of(examples, self._plain(examples, vectors), settings.likeness)
        pairs = self._pairs(examples, vectors, candidates, generator)
        with torch.no_grad():
            spectrum = network.analyse(mixture[:, None])  # (B, 1, F, N)
        features = network.encode(mixture, spectrum[:, 0])
        mask = network.mask(features.select(pairs.rows), pairs.sides.condition)
        if settings.measured_on == "bands":
            terms = self._band_terms(mask, examples, spectrum[:, 0], pairs)
        else:
            stems = network.render(mask, spectrum[pairs.rows], sounds.shape[-1])[:, 0]  # (P, T)
            terms = self._stem_terms(stems, examples, pairs)
        if isinstance(network, Separator) and settings.presence_weight > 0.0:
            presence = self._presence(network, features, examples, vectors, candidates)
            terms["loss"] = terms["loss"] + settings.presence_weight * presence
            terms["presence"] = presence.detach()
        return terms

    def _pairs(self, examples: Examples, vectors: Tensor, candidates: Candidates, generator: torch.Generator) -> _Pairs:
        """Every sound, but silent ones only where their query is foreign to the mixture, and then foreign queries."""
        batch, count, _ = vectors.shape
        sides = self.settings.sides.draw(vectors, generator)
        guests, foreign = self._foreign(candidates, generator)
        absent = positive_sides(vectors.flatten(0, 1)[foreign.to(vectors.device)])
        silent = is_silent(examples.sounds, examples.mixture[:, None]).flatten()  # (B S)
        own = torch.arange(batch * count, device=vectors.device)
        asked = own[~silent | candidates.foreign[own // count, own]]
        return _Pairs(
            rows=torch.cat([asked // count, guests.to(vectors.device)]),
            sounds=torch.cat([asked % count, torch.full_like(foreign, -1).to(vectors.device)]),
            heard=torch.cat([~silent[asked], torch.zeros_like(foreign, dtype=torch.bool).to(vectors.device)]),
            sides=Sides(
                torch.cat([sides.positive[asked], absent.positive]), torch.cat([sides.negative[asked], absent.negative])
            ),
        )

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

    def _stem_terms(self, stems: Tensor, examples: Examples, pairs: _Pairs) -> dict[str, Tensor]:
        waveform, heard = self.settings.waveform, pairs.heard
        own, mixture = examples.sounds[pairs.rows[heard], pairs.sounds[heard]], examples.mixture[pairs.rows]
        sounding = waveform.sounding(stems[heard], own)
        leak = waveform.silent(stems[~heard], mixture[~heard])
        with torch.no_grad():
            snr = snr_db(stems[heard], own)
            gained = si_snr_db(stems[heard], own) - si_snr_db(mixture[heard], own)  # told only
        return self._terms(sounding, snr, leak) | {"si_sdri_db": _mean_or_zero(gained)}

    def _band_terms(self, mask: Mask, examples: Examples, spectrum: Tensor, pairs: _Pairs) -> dict[str, Tensor]:
        network, waveform, heard = self.network, self.settings.waveform, pairs.heard
        assert isinstance(network, CompactCLAPSep)
        with torch.no_grad():
            spectra = BandSpectra.of(spectrum, network.analyse(examples.sounds), network.mel.spread)
        bands = mask.bands[..., : spectrum.shape[-1]].float()
        snr = spectra.snr_db(bands[heard], pairs.rows[heard], pairs.sounds[heard], waveform.limit_db)
        leak = spectra.leak_db(bands[~heard], pairs.rows[~heard], waveform.floor_db)
        return self._terms(-snr, snr.detach(), leak)

    def _terms(self, sounding: Tensor, snr: Tensor, leak: Tensor) -> dict[str, Tensor]:
        return {
            "loss": _mean_or_zero(sounding) + self.settings.silence_weight * _mean_or_zero(leak),
            "snr_db": _mean_or_zero(snr),
        } | ({"leak_db": leak.detach().mean()} if len(leak) else {})

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
