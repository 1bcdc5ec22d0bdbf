"""The three losses of weakly supervised separation, from mixtures of mixtures and words alone.

    M = sum_s x_s, every x_s itself a mixture;  P_q = |M| * mask(q)
    unsupervised  sum_s L1( P_caption(s),        |x_s|;  weight of |M|   )    mix and separate
    consistency   sum_s L1( sum_k a_sk P_sk,     |x_s|;  weight of |x_s| )    the phrases of a clip add up to it
    contrastive   sum_s CE( scale * A T^T )                                   a phrase's stem sounds like the phrase
    L1(p, x; m) = mean( w(m) |p - x| ),  w(m) = clamp(log1p(m), 1e-3, 10)

Source: BiModalAudioSeparation (arXiv 2404.01740) and its published code, which divides its clips by their number twice,
so that they do not add up to the mixture; here they do, exactly. Shapes: K phrases of a sound, n items of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

LEAST_WEIGHT, MOST_WEIGHT = 1e-3, 10.0


def loudness_weight(magnitude: Tensor) -> Tensor:
    """Weight of every bin by its magnitude, of the same shape; not differentiated."""
    return torch.log1p(magnitude.detach()).clamp(LEAST_WEIGHT, MOST_WEIGHT)


def weighted_l1(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean over everything of `weight * |predicted - target|`, a scalar; the shapes may be broadcast."""
    return (weight * (predicted - target).abs()).mean()


def unsupervised_loss(masks: Tensor, mixture: Tensor, sounds: Tensor) -> Tensor:
    """Mix and separate: the masks [B, S, F, N] of the captions on the magnitude of the `mixture` [B, F, N], against
    those of the `sounds` [B, S, F, N]; the sum over S of the means."""
    predicted = mixture[:, None] * masks
    return sounds.shape[1] * weighted_l1(predicted, sounds, loudness_weight(mixture)[:, None])


def consistency_loss(masks: Tensor, shares: Tensor, mixture: Tensor, sounds: Tensor) -> Tensor:
    """What the phrases of a clip take from the mixture, added up, against the clip: the sum over S of the means.

    `masks` [B, S, K, F, N]; `shares` [B, S, K] is 1 over the times that a phrase was repeated; magnitudes as in
    `unsupervised_loss`.
    """
    predicted = mixture[:, None] * (shares[..., None, None] * masks).sum(dim=2)
    return sounds.shape[1] * weighted_l1(predicted, sounds, loudness_weight(sounds))


def contrastive_loss(audio: Tensor, text: Tensor, texts: Sequence[str], scale: float) -> Tensor:
    """Cross entropy of `scale` times the cosines of stems, unit vectors `audio` [n, D], with the phrases that made
    them, unit vectors `text` [n, D]; from audio to text only.

    Items of equal `texts` share the target evenly (our choice): on the diagonal alone, a stem would be pushed away from
    words that are its own. The least value is then not 0, but log m for an item whose text occurs m times.
    """
    logits = scale * audio @ text.T  # (n, n)
    return functional.cross_entropy(logits, equal_texts(texts).to(logits))


def equal_texts(texts: Sequence[str]) -> Tensor:
    """Targets [n, n]: row i divides 1 evenly among the items whose text is that of item i."""
    number = {text: index for index, text in enumerate(dict.fromkeys(texts))}
    numbers = torch.tensor([number[text] for text in texts])
    same = (numbers[:, None] == numbers[None]).double()
    return same / same.sum(dim=1, keepdim=True)
