"""Blended queries: on the line between text and audio, at one place for the whole batch."""

from __future__ import annotations

import pytest
import torch
from made_examples import made_examples, seeded
from small_model import small_clap
from torch.nn import functional

from model.training.audio_queries import AudioQueries
from model.training.blended_queries import BlendedQueries
from model.training.query_texts import TextQueries


def test_a_blend_is_the_same_share_of_audio_for_every_sound_of_the_batch_and_has_unit_length() -> None:
    clap = small_clap()
    text, audio = TextQueries(clap), AudioQueries(clap)
    examples = made_examples()
    words, sounds = text(examples, seeded()), audio(examples, seeded())
    shares = []
    for seed in range(12):
        share = torch.rand(2, generator=seeded(seed))[0]
        out = BlendedQueries(text, audio)(examples, seeded(seed))
        assert torch.allclose(out, functional.normalize(share * sounds + (1 - share) * words, dim=-1), atol=1e-6)
        assert torch.allclose(out.norm(dim=-1), torch.ones(3, 2), atol=1e-6)
        assert torch.equal(out, BlendedQueries(text, audio)(examples, seeded(seed)))
        shares.append(float(share))
    assert max(shares) - min(shares) > 0.5


def test_a_blend_needs_captions() -> None:
    clap = small_clap()
    with pytest.raises(ValueError, match="has no caption"):
        BlendedQueries(TextQueries(clap), AudioQueries(clap))(made_examples((("a bell", ""),)), seeded())


def test_a_share_of_the_batches_asks_by_texts_alone() -> None:
    clap, examples = small_clap(), made_examples()
    text, audio = TextQueries(clap), AudioQueries(clap)
    words = text(examples, seeded())
    alone = [torch.equal(BlendedQueries(text, audio, 0.25)(examples, seeded(seed)), words) for seed in range(60)]
    assert 0.6 < sum(alone) / len(alone) < 0.9
