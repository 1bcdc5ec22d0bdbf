"""The claims, what the papers say of them, and which arms answer them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.claims.arms import APART_RATES, CACHES, LARGEST, RATES
from bench.claims.scores import ArmScores
from bench.claims.verdicts import Estimate, Verdict, difference_of, mean_of, ratio_of, share_closed, verdict_of

Chosen = NDArray[np.bool_]
Scores = Mapping[str, ArmScores]


@dataclass(frozen=True)
class Side:
    """One network, asked in one way."""

    arm: str
    way: str = "text"

    def values(self, scores: Scores) -> NDArray[np.float64]:
        """SI-SDR improvement in dB, mixture by mixture."""
        return scores[self.arm].si_sdri_db[self.way]

    def __str__(self) -> str:
        return self.arm if self.way == "text" else f"{self.arm}, asked by {self.way}"


@dataclass(frozen=True)
class Claim:
    """`better` is claimed to be better than `worse` on the mixtures with labels that separators know."""

    letter: str
    text: str
    paper: str
    better: Side
    worse: Side


@dataclass(frozen=True)
class Answer:
    """What the arms say of a claim, on seen and on unseen labels."""

    claim: Claim
    seen: Estimate
    unseen: Estimate | None
    verdict: Verdict


RECIPE_RATE: Final = "dropout_0.75"
"""That of the recipe audio_only."""
CLAIMS: Final = (
    Claim("a", "trained on audio queries alone, a network does worse by text than one trained by text",
          "2409.09398, 2409.13152: a modality gap, no figure could be read", Side("text"), Side("vanilla")),
    Claim("a", "the same, with a modality gap like that of large towers",
          "2409.09398, 2409.13152", Side("text"), Side("vanilla_apart")),
    Claim("a", "the audio-trained network does better by audio than by text",
          "2409.13152: it overfits to audio queries", Side("vanilla", "audio"), Side("vanilla")),
    Claim("a", "such a gap makes audio-only training worse by text",
          "2409.09398, 2409.13152", Side("vanilla"), Side("vanilla_apart")),
    Claim("b", "embedding dropout (rate 0.75) makes audio-only training better by text",
          "2409.13152: as good as captions", Side(RECIPE_RATE), Side("vanilla")),
    Claim("b", "the same, with that gap",
          "2409.13152: as good as captions", Side(f"{RECIPE_RATE}_apart"), Side("vanilla_apart")),
    Claim("b", "shifting audio vectors by the mean gap does, too",
          "2409.13152: compared, no figure could be read", Side("shift_apart"), Side("vanilla_apart")),
    Claim("b", "audio-only data added to captioned data helps",
          "2409.13152: improves, more so out of domain", Side("mixed"), Side("text_quarter")),
    Claim("c", "retrieved captions are better than vanilla audio-only training",
          "2409.09398: consistent improvement", Side("retrieval"), Side("vanilla")),
    Claim("c", "the same, with that gap",
          "2409.09398: consistent improvement", Side("retrieval_apart"), Side("vanilla_apart")),
    Claim("c", "a larger cache is better than a small one",
          "2409.09398: not found", Side("retrieval"), Side(f"retrieval_{CACHES[0]}")),
    Claim("c", "a weighted mean of all captions is better than the nearest one",
          "2409.09398: not found", Side("retrieval"), Side("retrieval_top1")),
    Claim("d", "consistency and contrast improve mix-and-separate",
          "2404.01740: up to +71 % SDR", Side("weak"), Side("mix_and_separate")),
    Claim("d", "weak training added to full supervision improves it",
          "2404.01740: +17 % SDR", Side("semi_1"), Side("text")),
    Claim("e", "an encoder pretrained contrastively beats a random one at equal steps",
          "2402.17455: CLAP inside the separator", Side("pretrained"), Side("text")),
    Claim("f", "naming the interferer as a negative query helps",
          "2402.17455: positive and negative together are best", Side("blended", "negative"), Side("blended")),
    Claim("g", "audio and text together beat text alone",
          "2402.17455: multi-modal queries are best", Side("blended", "both"), Side("blended")),
)  # fmt: skip


def answers(scores: Scores, seen: Chosen) -> list[Answer]:
    """Answers to all claims whose arms have been scored."""
    known = [claim for claim in CLAIMS if {claim.better.arm, claim.worse.arm} <= scores.keys()]
    return [_answer(claim, scores, seen) for claim in known]


def _answer(claim: Claim, scores: Scores, seen: Chosen) -> Answer:
    better, worse = claim.better.values(scores), claim.worse.values(scores)
    difference = difference_of(better, worse, seen)
    comparable = ~seen & np.isfinite(better) & np.isfinite(worse)  # no exemplar of an unseen label
    return Answer(
        claim,
        difference,
        difference_of(better, worse, comparable) if comparable.any() else None,
        verdict_of(difference),
    )


def dropout_curve(scores: Scores, seen: Chosen) -> list[tuple[str, Estimate, Estimate, Estimate]]:
    """(rate, seen, unseen, share of the gap that is closed on seen labels) from vanilla to text."""
    arms = {"0": "vanilla", **{f"{rate:g}": f"dropout_{rate:g}" for rate in RATES}}
    return _closing(arms, "vanilla", scores, seen)


def apart_curve(scores: Scores, seen: Chosen) -> list[tuple[str, Estimate, Estimate, Estimate]]:
    """The same for what is done about a modality gap, from vanilla training with it to text."""
    arms = {
        "nothing": "vanilla_apart",
        **{f"embedding dropout, rate {rate:g}": f"dropout_{rate:g}_apart" for rate in APART_RATES},
        "mean gap shift": "shift_apart",
        "retrieval": "retrieval_apart",
    }
    return _closing(arms, "vanilla_apart", scores, seen)


def _closing(
    arms: Mapping[str, str], lowest: str, scores: Scores, seen: Chosen
) -> list[tuple[str, Estimate, Estimate, Estimate]]:
    curve = []
    for what, name in arms.items():
        if {name, lowest} <= scores.keys():
            values, bottom = scores[name].si_sdri_db["text"], scores[lowest].si_sdri_db["text"]
            closed = share_closed(scores["text"].si_sdri_db["text"], values, bottom, seen)
            curve.append((what, mean_of(values, seen), mean_of(values, ~seen), closed))
    return curve


def cache_curve(scores: Scores, seen: Chosen) -> list[tuple[str, Estimate, Estimate]]:
    """(captions and how they are used, seen, unseen)."""
    arms = [(f"{count:,}, all weighted", f"retrieval_{count}") for count in CACHES[:-1]]
    arms += [
        (f"{LARGEST:,}, all weighted", "retrieval"),
        (f"{LARGEST:,}, ten nearest", "retrieval_top10"),
        (f"{LARGEST:,}, nearest", "retrieval_top1"),
    ]
    values = {label: scores[name].si_sdri_db["text"] for label, name in arms if name in scores}
    return [(label, mean_of(v, seen), mean_of(v, ~seen)) for label, v in values.items()]


def weak_shares(scores: Scores, seen: Chosen) -> list[tuple[str, str, Estimate]]:
    """(what, the paper's figure, ours): ratios of SI-SDR improvements, seen labels; "+" is what is added to 1."""
    pairs = [
        ("weak training, as share of the supervised score", "97.5 %", "weak", "text"),
        ("weak training against mix-and-separate", "+71 %", "weak", "mix_and_separate"),
        ("5 % supervised, the rest weak, as share of the supervised score", "not found", "semi_0.05", "text"),
        ("25 % supervised, the rest weak, as share of the supervised score", "not found", "semi_0.25", "text"),
        ("all supervised and weak, against supervised alone", "+17 %", "semi_1", "text"),
    ]
    return [
        (what, paper, ratio_of(scores[first].si_sdri_db["text"], scores[second].si_sdri_db["text"], seen))
        for what, paper, first, second in pairs
        if {first, second} <= scores.keys()
    ]
