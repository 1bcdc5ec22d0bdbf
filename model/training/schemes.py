"""What a recipe's objective is made of: which examples are drawn, and what is lowered on them.

task(step):  for every part   examples = draw(step);  terms = objective(examples, generator of the step)
             loss = weighted sum
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from model.caption_cache import CaptionCache
from model.captions.grammar import captions
from model.retrieval import Retrieval
from model.separator import MaskNetwork
from model.towers import Towers
from model.training.audio_queries import AudioQueries
from model.training.blended_queries import BlendedQueries
from model.training.clips import ClipLibrary, content_position
from model.training.examples import Examples, Objective, QuerySource
from model.training.manipulation_list import Fitting, manipulations_of, needs_fitting
from model.training.mixtures import FewLabelsError, MixtureDraw
from model.training.query_texts import TextQueries
from model.training.recipe import Recipe
from model.training.recipe_file import RecipeError
from model.training.retrieved_queries import RetrievedQueries
from model.training.supervised import SupervisedObjective
from model.training.text_or_audio_queries import TextOrAudioQueries
from model.training.waveform_loss import is_silent
from model.training.weak import WeakObjective

FITTING_STEPS = 16
"""Steps whose sounds and words manipulations are fitted on: some hundreds of vectors. Our choice."""
Drawn = tuple[Examples, ...]


@dataclass(frozen=True)
class Part:
    """One objective with its weight, and the prefix of its terms in the log."""

    objective: Objective
    weight: float = 1.0
    prefix: str = ""


def needs_words(recipe: Recipe) -> bool:
    """True when every clip needs a caption, because it is asked for by it."""
    return recipe.objective != "supervised" or recipe.queries.source in ("text", "blended")


def draws_of(recipe: Recipe, library: ClipLibrary, sample_rate: int) -> tuple[MixtureDraw, ...]:
    """What a step draws, one for each part of the objective: `draws_of(...)[i]` belongs to `parts_of(...)[i]`.

    In semi-supervised training the second hears a share of the clips alone, always the same ones. Raises
    FewLabelsError for too few labels, RecipeError where it is the share that has too few.
    """
    siblings = recipe.queries.exemplar == "sibling" and recipe.queries.source != "text"
    first = MixtureDraw(library, recipe.mixtures, sample_rate, recipe.seed, exemplars=siblings)
    if recipe.objective != "semi":
        return (first,)
    share = library.only(lambda clip: content_position(clip, "heard alone") < recipe.single_share)
    single = replace(recipe.mixtures, parts=1)
    try:
        return first, MixtureDraw(share, single, sample_rate, recipe.seed + 1)
    except FewLabelsError as error:
        raise RecipeError(f"single_share is {recipe.single_share:g}: {error}; or give a larger share") from error


def parts_of(recipe: Recipe, network: MaskNetwork, towers: Towers, draw: MixtureDraw) -> tuple[Part, ...]:
    """The objectives of a recipe. `draw` gives the sounds that manipulations are fitted on."""
    if recipe.objective == "supervised":
        source = query_source(recipe, towers, draw)
        return (Part(SupervisedObjective(network, source, recipe.supervised)),)
    weak = Part(WeakObjective(network, towers, recipe.weak))
    if recipe.objective == "weak":
        return (weak,)
    supervised = SupervisedObjective(network, TextQueries(towers), recipe.supervised)
    return weak, Part(supervised, recipe.single_weight, "single_")


def query_source(recipe: Recipe, towers: Towers, draw: MixtureDraw) -> QuerySource:
    """What sounds are asked for with."""
    queries, text = recipe.queries, TextQueries(towers)
    if queries.source == "text":
        return text
    fitting = _fitting(towers, draw) if needs_fitting(queries.manipulations) else None
    audio = AudioQueries(towers, manipulations_of(queries.manipulations, fitting), queries.exemplar)
    if queries.source == "audio":
        return audio
    if queries.source == "blended":
        return BlendedQueries(text, audio, queries.audio_share)
    if queries.source == "text_or_audio":
        return TextOrAudioQueries(text, audio)
    retrieval = queries.retrieval
    if retrieval.cache is not None:
        cache = CaptionCache.open(Path(retrieval.cache), towers, retrieval.template)
    else:
        cache = CaptionCache.embed(captions(retrieval.generated, recipe.seed), towers, retrieval.template)
    return RetrievedQueries(audio, Retrieval(cache, retrieval.how, retrieval.k, retrieval.temperature))


def task_of(
    parts: Sequence[Part], drawn: Callable[[int], Drawn], seed: int, worker: int = 0
) -> Callable[[int], dict[str, Tensor]]:
    """`loss(step)` for the training loop. `drawn(step)` gives the examples of every part."""

    def loss(step: int) -> dict[str, Tensor]:
        total: dict[str, Tensor] = {}
        for number, (part, examples) in enumerate(zip(parts, drawn(step), strict=True)):
            generator = torch.Generator().manual_seed(_seed(seed, step, worker, number))
            terms = part.objective(examples, generator)
            total = _added(total, terms, part)
        return total

    return loss


def _added(total: dict[str, Tensor], terms: Mapping[str, Tensor], part: Part) -> dict[str, Tensor]:
    named = {f"{part.prefix}{name}": value for name, value in terms.items() if name != "loss"}
    loss = part.weight * terms["loss"]
    return {**total, **named, "loss": total["loss"] + loss if "loss" in total else loss}


def _fitting(towers: Towers, draw: MixtureDraw) -> Fitting:
    """Vectors of the first sounds that the run draws, and of their words where they are known; silent ones are none."""
    generator = torch.Generator().manual_seed(0)
    audio, text, words = AudioQueries(towers), TextQueries(towers), True
    sounds: list[Tensor] = []
    captions: list[Tensor] = []
    for step in range(FITTING_STEPS):
        examples = draw(step)
        heard = ~is_silent(examples.sounds, examples.mixture[:, None]).flatten()
        sounds.append(audio(examples, generator).flatten(0, 1)[heard])
        words = words and all(caption for row in examples.captions for caption in row)
        if words:
            captions.append(text(examples, generator).flatten(0, 1)[heard])
    return Fitting(torch.cat(sounds), torch.cat(captions) if words else None)


def _seed(*numbers: int) -> int:
    """A seed that differs whenever a number does."""
    return int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:8], "big") >> 1
