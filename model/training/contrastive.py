"""Contrastive training of the CLAP towers: captions and sounds of one label attract, others repel (CLIP's symmetric
loss).

Several clips of a batch may share a label; the target is then spread evenly over all of them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from model.clap import Clap
from model.mixing import Audio, lively_crop, mix_at_snr
from model.training.clips import ClipLibrary
from model.training.variation import varied_crop


class ContrastiveTask:
    """`task(step)` draws a batch and returns its loss; same seed and step, same batch."""

    def __init__(
        self,
        clap: Clap,
        library: ClipLibrary,
        sentences: Tensor,
        *,
        batch: int = 64,
        seconds: float = 3.0,
        seed: int = 1,
    ) -> None:
        self.clap, self.library, self.sentences = clap, library, sentences
        self.batch, self.samples, self.seed = batch, int(seconds * clap.config.sample_rate), seed

    def __call__(self, step: int) -> dict[str, Tensor]:
        generator = np.random.default_rng([self.seed, step])
        labels = [self.library.draw_label(generator) for _ in range(self.batch)]
        captions = [self.library.draw_caption(label, generator) for label in labels]
        sounds = np.stack([self._sound(label, generator) for label in labels])
        rows = torch.tensor([self.library.caption_row[c] for c in captions])
        vectors = self.sentences[rows]
        vectors = vectors + 0.02 * torch.from_numpy(generator.standard_normal(vectors.shape).astype(np.float32))
        text = self.clap.embed_sentences(vectors)
        with torch.autocast("cpu", torch.bfloat16):
            audio = self.clap.embed_audio(torch.from_numpy(sounds))
        same = torch.tensor(
            [[self.library.fits(c, label) for label in labels] for c in captions]
        ).float()  # (text, audio)
        logits = text @ audio.T * self.clap.temperature.exp().clamp(max=100.0)
        to_audio = functional.cross_entropy(logits, same / same.sum(1, keepdim=True))
        to_text = functional.cross_entropy(logits.T, same.T / same.T.sum(1, keepdim=True))
        hit = same.gather(1, logits.argmax(1, keepdim=True)).mean()
        return {"loss": (to_audio + to_text) / 2, "hit": hit}

    def _sound(self, label: str, generator: np.random.Generator) -> Audio:
        """A crop of a clip of the label; half of the time over another sound 3 to 20 dB below."""
        clip = varied_crop(self.library.clips[self.library.draw_clip(label, generator)].audio, self.samples, generator)
        if generator.random() < 0.5:
            other = self.library.draw_label(generator, besides=[label])
            noise = self.library.clips[self.library.draw_clip(other, generator)].audio
            clip = mix_at_snr(clip, lively_crop(noise, self.samples, generator), float(generator.uniform(3, 20)))[2]
        return clip
