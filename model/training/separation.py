"""Supervised training of the separator on mixtures made on the fly, text and audio queries mixed (CLAPSep's recipe,
our mixtures).

One mixture answers several queries, because a further query is cheap: every source of it, and for a share of the
mixtures a sound that is not there, whose stem must be silent. The loss is taken on mel bands, not on waveforms:

    ||m X - S||^2  =  sum_b  m_b^2 P_b - 2 m_b C_b  +  ||S||^2        P = spread' |X|^2,  C = spread' Re(S X*)

which is exact in the cross term and an upper bound in the square one (masks are interpolated between bands), needs
no inverse transform, and is sixteen times smaller. Negative SNR in dB of that error is the loss, as in CLAPSep;
presence is trained with it, frame by frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from model.compact_clapsep import CompactCLAPSep
from model.mixing import Audio, mix_at_snr, varied_crop
from model.separator import Condition, Features
from model.training.clips import ClipLibrary
from model.training.presence_loss import Candidates, presence_loss


@dataclass(frozen=True)
class SeparationRecipe:
    """Shares and weights of the supervised recipe."""

    batch: int = 16
    frames: int = 320
    snr_std_db: float = 5.0
    third_source_share: float = 0.2
    absent_share: float = 0.25
    both_share: float = 0.35
    """Queries with the other source as negative; `negative_only_share` have nothing else. CLAPSep: 0.5 and 0.25."""
    negative_only_share: float = 0.12
    audio_share: float = 0.35
    absent_weight: float = 0.03
    presence_weight: float = 4.0
    snr_limit_db: float = 25.0
    seed: int = 2


@dataclass(frozen=True)
class _Batch:
    """Sounds and queries of one step. Sources are [B, 2, T]; a pair row is (mixture, source or -1, condition)."""

    mixture: Tensor
    sources: Tensor
    pair_mixture: Tensor
    pair_source: Tensor
    condition: Tensor
    candidates: Tensor
    candidate_present: Tensor
    candidate_valid: Tensor


class SeparationTask:
    """`task(step)` draws a batch and returns its loss terms; same seed and step, same batch.

    `text`: unit vectors [captions, D] of the library's captions; `audio`: unit vectors [clips, D] of its clips.
    """

    def __init__(
        self,
        network: CompactCLAPSep,
        library: ClipLibrary,
        text: Tensor,
        audio: Tensor,
        sentences: Tensor,
        recipe: SeparationRecipe,
    ) -> None:
        self.network, self.library, self.recipe = network, library, recipe
        self.text, self.audio = text, audio
        self.alike = sentences @ sentences.T
        """Cosine of the sentence vectors of all captions: near-synonyms of other labels are not taken as negatives."""
        self.samples = (recipe.frames - 1) * network.config.hop_samples

    def __call__(self, step: int) -> dict[str, Tensor]:
        batch = self._draw(np.random.default_rng([self.recipe.seed, step]))
        network, recipe = self.network, self.recipe
        with torch.no_grad():
            spectra = network.stft.analyse(torch.cat([batch.mixture[:, None], batch.sources], dim=1))  # (B, 3, F, N)
            mixture = spectra[:, 0]
            spread = network.mel.spread
            power = torch.matmul(spread.T, mixture.abs().square())  # (B, M, N)
            cross = torch.matmul(spread.T, (spectra[:, 1:] * mixture.conj()[:, None]).real)  # (B, 2, M, N)
            energy = spectra[:, 1:].abs().square().sum(dim=(2, 3))  # (B, 2)
        with torch.autocast("cpu", torch.bfloat16):
            features = network.encode_spectrum(mixture)
            logits = network.mask_logits(features.select(batch.pair_mixture), Condition(batch.condition))
        mask = torch.sigmoid(logits[..., : mixture.shape[-1]])  # (P, M, N)
        heard = (mask.square() * power[batch.pair_mixture]).sum(dim=(1, 2))
        total = power.sum(dim=(1, 2))[batch.pair_mixture]
        there = batch.pair_source >= 0
        rows, columns = batch.pair_mixture[there], batch.pair_source[there]
        target = energy[rows, columns]
        error = heard[there] - 2.0 * (mask[there] * cross[rows, columns]).sum(dim=(1, 2)) + target
        floor = 10.0 ** (-recipe.snr_limit_db / 10.0)
        snr = -10.0 * torch.log10((error.clamp_min(0.0) + floor * target + 1e-8) / (target + 1e-8))
        leak = 10.0 * torch.log10(heard[~there] / (total[~there] + 1e-8) + 1e-2)
        separation = -snr.mean()
        absent = leak.mean() if leak.numel() else separation.new_zeros(())
        presence = self._presence_loss(features, batch, spectra)
        loss = separation + recipe.absent_weight * absent + recipe.presence_weight * presence
        return {"loss": loss, "snr": snr.mean(), "leak": absent, "presence": presence}

    def _presence_loss(self, features: Features, batch: _Batch, spectra: Tensor) -> Tensor:
        """Cross entropy of activity per frame against every caption of the batch."""
        logits = self.network.activity_logits(features, Condition(batch.candidates))  # (B, Q, N')
        with torch.no_grad():
            level = functional.adaptive_avg_pool1d(spectra.abs().square().sum(dim=2), logits.shape[-1])  # (B, 3, N')
        return presence_loss(logits, level, Candidates(batch.candidate_present, batch.candidate_valid))

    def _draw(self, generator: np.random.Generator) -> _Batch:
        recipe, library = self.recipe, self.library
        mixtures: list[Audio] = []
        sources: list[list[Audio]] = []
        labels: list[tuple[str, str]] = []
        conditions: list[Tensor] = []
        pair_mixture: list[int] = []
        pair_source: list[int] = []
        captions: list[str] = []
        extra: list[str | None] = []
        for row in range(recipe.batch):
            first = library.draw_label(generator)
            second = library.draw_label(generator, besides=[first])
            clips = [library.draw_clip(label, generator) for label in (first, second)]
            sounds = [self._sound(clip, generator) for clip in clips]
            target, noise, mixture = mix_at_snr(sounds[0], sounds[1], float(generator.normal(0.0, recipe.snr_std_db)))
            third: str | None = None
            if generator.random() < recipe.third_source_share:
                third = library.draw_label(generator, besides=[first, second])
                faint = self._sound(library.draw_clip(third, generator), generator)
                mixture = mixture + mix_at_snr(mixture, faint, float(generator.uniform(3.0, 15.0)))[1]
            gain = np.float32(10.0 ** (generator.uniform(-20.0, 0.0) / 20.0))
            mixtures.append(mixture * gain)
            sources.append([target * gain, noise * gain])
            labels.append((first, second))
            extra.append(third)
            words = [library.draw_caption(a, generator, others=[b]) for a, b in ((first, second), (second, first))]
            captions += words
            for source in (0, 1):
                own = self._query(words[source], clips[source], labels[row][source], generator)
                other = self._query(words[1 - source], clips[1 - source], labels[row][1 - source], generator)
                draw = generator.random()
                if draw < recipe.negative_only_share and third is None:
                    own = torch.zeros_like(own)
                elif draw > recipe.negative_only_share + recipe.both_share:
                    other = torch.zeros_like(other)
                conditions.append(functional.normalize(torch.cat([own, other]), dim=0))
                pair_mixture.append(row)
                pair_source.append(source)
            if generator.random() < recipe.absent_share:
                label = self._absent([first, second, *([third] if third else [])], generator)
                if label is not None:
                    own = self._query(
                        library.draw_caption(label, generator, group_share=0.0),
                        library.draw_clip(label, generator),
                        label,
                        generator,
                    )
                    conditions.append(functional.normalize(torch.cat([own, torch.zeros_like(own)]), dim=0))
                    pair_mixture.append(row)
                    pair_source.append(-1)
        present, valid = self._candidates(captions, labels, extra)
        half = self.text[[library.caption_row[c] for c in captions]]
        return _Batch(
            mixture=torch.from_numpy(np.stack(mixtures)),
            sources=torch.from_numpy(np.stack([np.stack(pair) for pair in sources])),
            pair_mixture=torch.tensor(pair_mixture),
            pair_source=torch.tensor(pair_source),
            condition=torch.stack(conditions),
            candidates=torch.cat([half, torch.zeros_like(half)], dim=1),
            candidate_present=present,
            candidate_valid=valid,
        )

    def _sound(self, clip: int, generator: np.random.Generator) -> Audio:
        return varied_crop(self.library.clips[clip].audio, self.samples, generator)

    def _query(self, caption: str, clip: int, label: str, generator: np.random.Generator) -> Tensor:
        """Unit vector of a text, of a sound (half of the time another clip of the label), or of a random blend of
        both."""
        text = self.text[self.library.caption_row[caption]]
        if generator.random() > self.recipe.audio_share:
            return text
        if generator.random() < 0.5:
            clip = self.library.draw_clip(label, generator)
        share = float(generator.uniform(0.0, 1.0)) if generator.random() < 0.6 else 1.0
        return functional.normalize(share * self.audio[clip] + (1.0 - share) * text, dim=0)

    def _absent(self, present: list[str], generator: np.random.Generator) -> str | None:
        """A label whose wording is far from that of everything in the mixture."""
        for _ in range(5):
            label = self.library.draw_label(generator, besides=present)
            if all(self._likeness(label, other) < 0.5 for other in present):
                return label
        return None

    def _likeness(self, label: str, other: str) -> float:
        row = self.library.caption_row
        return float(self.alike[row[self.library.wordings[label][0]], row[self.library.wordings[other][0]]])

    def _candidates(
        self, captions: list[str], labels: list[tuple[str, str]], extra: list[str | None]
    ) -> tuple[Tensor, Tensor]:
        """Which caption fits which source [B, 2, Q], and which (mixture, caption) pairs can be judged at all [B, Q]."""
        row = self.library.caption_row
        rows = torch.tensor([row[c] for c in captions])
        present = torch.tensor(
            [[[self.library.fits(c, label) for c in captions] for label in pair] for pair in labels]
        ).float()
        near = torch.stack(
            [
                torch.stack(
                    [
                        self.alike[row[self.library.wordings[label][0]]][rows]
                        for label in (*pair, *([third] if third else []))
                    ]
                ).amax(0)
                for pair, third in zip(labels, extra, strict=True)
            ]
        )
        fits = present.amax(dim=1)  # (B, Q)
        return present, ((fits > 0.0) | (near < 0.55)).float()
