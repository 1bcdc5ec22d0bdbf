"""The arms: networks that differ in one thing, trained for the same number of steps on the same mixtures.

All are the compact CLAPSep at about a third of its size, without presence and without foreign queries, so that only
separation is learned. An arm is a recipe that comes along, and settings over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from model.training.recipe import Recipe
from model.training.recipe_file import read_recipe

Words = Literal["all", "quarter", "none"]
"""Which clips of split B have captions for an arm."""

ONLY_POSITIVE: Final = "supervised.sides={positive_only: 1.0, negative_only: 0.0}"
COMMON: Final = (
    "network.config={widths: [32, 64, 96, 128], decoder_widths: [24, 40, 56, 72], deep_blocks: 1, activity: 8}",
    "mixtures.batch=8",
    "mixtures.seconds=3.2",
    "supervised.absent_share=0.0",
    "supervised.presence_weight=0.0",
    "schedule.rate=1.5e-3",
    "schedule.warmup_steps=50",
    "schedule.decay_share=0.5",
    "schedule.average=0.99",
    "schedule.log_every=25",
    "schedule.save_every=50",
)


@dataclass(frozen=True)
class Arm:
    """One network: a recipe's name and what is set over it. `words`: which clips have captions; `clips`: whether only
    those are heard; `encoder`: begins with the encoder that was pretrained on split A."""

    name: str
    recipe: str
    settings: tuple[str, ...] = ()
    words: Words = "all"
    only_captioned: bool = False
    encoder: bool = False
    cache: int | None = None
    """Captions of the cache that it looks up."""
    apart: float = 0.0
    """How far audio vectors are moved away from those of words (`gap.py`)."""

    def recipe_for(self, steps: int, **paths: Any) -> Recipe:
        """The whole recipe; `paths`: `encoder` and `cache` files."""
        settings = [*COMMON, f"schedule.steps={steps}", *self.settings]
        if self.encoder:
            settings.append(f"network.encoder={paths['encoder']}")
        if self.cache is not None:
            settings.append(f"queries.retrieval.cache={paths['cache']}")
        return read_recipe(self.recipe, settings)


def _dropout(rate: float, apart: float = 0.0) -> Arm:
    setting = f"queries.manipulations=[{{embedding_dropout: {rate}}}]"
    name = f"dropout_{rate:g}" + ("_apart" if apart else "")
    return Arm(name, "audio_only", (ONLY_POSITIVE, setting), words="none", apart=apart)


def _retrieval(name: str, cache: int, *settings: str) -> Arm:
    return Arm(name, "retrieval", (ONLY_POSITIVE, *settings), words="none", cache=cache)


RATES: Final = (0.25, 0.5, 0.75, 0.9)
APART_RATES: Final = (0.5, 0.75)
CACHES: Final = (100, 1_000, 10_000)
LARGEST: Final = CACHES[-1]
APART: Final = 1.0
_SHIFTED: Final = "queries.manipulations=[{mean_gap_shift: 1.0}]"
ARMS: Final = (
    # (a), (b): text against audio
    Arm("text", "supervised_text", (ONLY_POSITIVE,)),
    Arm("vanilla", "audio_only_vanilla", (ONLY_POSITIVE,), words="none"),
    *(_dropout(rate) for rate in RATES),
    # (b): audio-only data added to captioned data
    Arm("text_quarter", "supervised_text", (ONLY_POSITIVE,), words="quarter", only_captioned=True),
    Arm("mixed", "mixed", (ONLY_POSITIVE,), words="quarter"),
    # (d): weak supervision
    Arm("weak", "weak"),
    Arm("mix_and_separate", "weak", ("weak.contrastive_weight=0.0", "weak.consistency_weight=0.0")),
    Arm("semi_0.05", "semi", (ONLY_POSITIVE, "single_share=0.05")),
    Arm("semi_0.25", "semi", (ONLY_POSITIVE, "single_share=0.25")),
    Arm("semi_1", "semi", (ONLY_POSITIVE, "single_share=1.0")),
    # (c): retrieval
    _retrieval("retrieval", LARGEST),
    *(_retrieval(f"retrieval_{count}", count) for count in CACHES[:-1]),
    _retrieval("retrieval_top1", LARGEST, "queries.retrieval.how=top1"),
    _retrieval("retrieval_top10", LARGEST, "queries.retrieval.how=topk", "queries.retrieval.k=10"),
    # (e): a pretrained encoder; (f), (g): negatives, audio beside text
    Arm("pretrained", "supervised_text", (ONLY_POSITIVE,), encoder=True),
    Arm("blended", "supervised"),
    # (a) to (c) once more, with towers that have a modality gap like that of large ones
    Arm("vanilla_apart", "audio_only_vanilla", (ONLY_POSITIVE,), words="none", apart=APART),
    *(_dropout(rate, APART) for rate in APART_RATES),
    Arm("shift_apart", "audio_only", (ONLY_POSITIVE, _SHIFTED), apart=APART),
    Arm("retrieval_apart", "retrieval", (ONLY_POSITIVE,), words="none", cache=CACHES[-1], apart=APART),
)
