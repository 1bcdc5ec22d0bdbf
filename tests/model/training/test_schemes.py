"""What a recipe's objective is made of: queries, draws, and the terms of its parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from made_examples import made_examples, seeded
from small_model import EMBEDDING, RATE, small_clap, small_separator
from tone_library import tone_library
from torch import Tensor

from model.caption_cache import CaptionCache
from model.training.audio_queries import AudioQueries
from model.training.blended_queries import BlendedQueries
from model.training.clips import Clip, ClipLibrary, content_position
from model.training.examples import Examples
from model.training.manipulation_list import ManipulationError
from model.training.manipulations import EmbeddingDropout, Manipulation, PcaTruncation
from model.training.mixtures import MixtureDraw, MixtureSettings
from model.training.query_texts import TextQueries
from model.training.recipe import Recipe
from model.training.recipe_file import RecipeError, recipe_of
from model.training.retrieved_queries import RetrievedQueries
from model.training.schemes import Part, draws_of, parts_of, query_source, task_of
from model.training.supervised import SupervisedObjective
from model.training.text_or_audio_queries import TextOrAudioQueries
from model.training.weak import WeakObjective

CLAP = small_clap().requires_grad_(False)
SETTINGS = MixtureSettings(batch=2, seconds=1.0)


def recipe(**values: Any) -> Recipe:
    return recipe_of({"about": "a scheme", "mixtures": {"batch": 2, "seconds": 1.0}, **values}, "made")


def queries(**values: Any) -> Recipe:
    return recipe(queries=values)


def draw(*, captioned: bool = True) -> MixtureDraw:
    library = tone_library()
    if not captioned:
        library = ClipLibrary(library.clips, {}, {}, captioned=False)
    return MixtureDraw(library, SETTINGS, RATE, seed=1)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("text", TextQueries),
        ("audio", AudioQueries),
        ("blended", BlendedQueries),
        ("text_or_audio", TextOrAudioQueries),
    ],
)
def test_the_recipe_chooses_what_sounds_are_asked_for_with(source: str, kind: type) -> None:
    assert type(query_source(queries(source=source), CLAP, draw())) is kind


def test_the_recipe_chooses_the_exemplar_and_what_is_done_to_its_vector() -> None:
    given = queries(source="audio", exemplar="varied", manipulations=[{"embedding_dropout": 0.5}])
    source = query_source(given, CLAP, draw())
    assert isinstance(source, AudioQueries)
    assert source.exemplar == "varied"
    assert [type(manipulation) for manipulation in source.manipulations] == [EmbeddingDropout]


def test_captions_are_retrieved_from_a_cache_or_from_generated_ones(tmp_path: Path) -> None:
    retrieval = {"generated": 5, "template": "the sound of {}", "how": "topk", "k": 2, "temperature": 0.5}
    source = query_source(queries(source="retrieved", retrieval=retrieval), CLAP, draw(captioned=False))
    assert isinstance(source, RetrievedQueries)
    assert source(made_examples((("", ""),)), seeded()).shape == (1, 2, EMBEDDING)
    CaptionCache.embed(["a bell", "rain"], CLAP).save(tmp_path / "captions.safetensors")
    cached = {"cache": str(tmp_path / "captions.safetensors"), "how": "top1"}
    source = query_source(queries(source="retrieved", retrieval=cached), CLAP, draw(captioned=False))
    found = source(made_examples((("", ""), ("", ""))), seeded()).flatten(0, 1)
    known = torch.stack([TextQueries(CLAP).vector(text) for text in ("a bell", "rain")])
    assert torch.allclose((found @ known.T).amax(dim=1), torch.ones(4), atol=1e-3)


def test_fitted_manipulations_are_fitted_the_same_twice() -> None:
    given = queries(source="audio", manipulations=[{"mean_gap_shift": 1.0}, {"pca_truncation": 3}])
    one, same = (query_source(given, CLAP, draw()) for _ in range(2))
    examples = made_examples()
    assert isinstance(one, AudioQueries)
    assert [type(manipulation) for manipulation in one.manipulations][1] is PcaTruncation
    assert torch.equal(one(examples, seeded()), same(examples, seeded()))
    plain = query_source(queries(source="audio"), CLAP, draw())
    assert not torch.allclose(one(examples, seeded()), plain(examples, seeded()), atol=1e-3)


def test_what_needs_no_words_is_fitted_without_them_and_the_rest_is_told() -> None:
    wordless = draw(captioned=False)
    source = query_source(queries(source="audio", manipulations=[{"pca_whitening": 0.01}]), CLAP, wordless)
    assert isinstance(source, AudioQueries)
    assert isinstance(source.manipulations[0], Manipulation)
    with pytest.raises(ManipulationError, match=r"mean_gap_shift.*vectors of texts, and there are none"):
        query_source(queries(source="audio", manipulations=[{"mean_gap_shift": 1.0}]), CLAP, wordless)


@pytest.mark.parametrize(
    ("objective", "kinds", "weights", "prefixes"),
    [
        ("supervised", [SupervisedObjective], [1.0], [""]),
        ("weak", [WeakObjective], [1.0], [""]),
        ("semi", [WeakObjective, SupervisedObjective], [1.0, 0.3], ["", "single_"]),
    ],
)
def test_an_objective_has_its_parts(
    objective: str, kinds: list[type], weights: list[float], prefixes: list[str]
) -> None:
    given = recipe(objective=objective, single_weight=0.3, mixtures={"batch": 2, "seconds": 1.0, "parts": 2})
    parts = parts_of(given, small_separator(), CLAP, draw())
    assert [type(part.objective) for part in parts] == kinds
    assert [part.weight for part in parts] == weights
    assert [part.prefix for part in parts] == prefixes


def test_semi_supervised_training_hears_the_same_share_of_the_clips_alone_wherever_they_lie() -> None:
    given = recipe(objective="semi", single_share=0.4, mixtures={"batch": 2, "seconds": 1.0, "parts": 2})
    clips = tone_library(clips_per_label=10).clips

    def heard(order: list[Clip]) -> tuple[MixtureDraw, MixtureDraw]:
        library = ClipLibrary(order, {clip.label: [clip.label] for clip in order}, {})
        weak, single = draws_of(given, library, RATE)
        return weak, single

    weak, single = heard(clips)
    _, reversed_order = heard(clips[::-1])
    alone = {clip.sound.tobytes() for clip in single.library.clips}
    assert alone == {clip.sound.tobytes() for clip in reversed_order.library.clips}
    assert alone == {clip.sound.tobytes() for clip in clips if content_position(clip, "heard alone") < 0.4}
    assert 0 < len(alone) < len(clips)
    assert len(weak.library.clips) == len(clips)
    assert (weak.settings.parts, single.settings.parts) == (2, 1)
    assert weak.seed != single.seed


@pytest.mark.parametrize("objective", ["supervised", "weak"])
def test_the_other_objectives_draw_once(objective: str) -> None:
    (only,) = draws_of(recipe(objective=objective, mixtures={"parts": 2}), tone_library(), RATE)
    assert len(only.library.clips) == 12


def test_too_few_clips_to_be_heard_alone_are_told_by_the_share() -> None:
    given = recipe(objective="semi", single_share=0.01, mixtures={"parts": 2})
    with pytest.raises(RecipeError, match=r"single_share is 0\.01: .* need 2 labels, the data have 0"):
        draws_of(given, tone_library(), RATE)


@dataclass
class Counting:
    """An objective whose loss is known; it notes the first number of its generator."""

    loss: float
    drawn: list[float]

    def __call__(self, examples: Examples, generator: torch.Generator) -> dict[str, Tensor]:
        self.drawn.append(float(torch.rand((), generator=generator)))
        return {"loss": torch.tensor(self.loss), "extra_db": torch.tensor(2 * self.loss)}


def test_the_loss_is_the_weighted_sum_and_terms_have_the_prefix_of_their_part() -> None:
    examples = made_examples()
    parts = [Part(Counting(3.0, [])), Part(Counting(5.0, []), 0.5, "single_")]
    terms = task_of(parts, lambda step: (examples, examples), seed=1)(0)
    assert {name: float(value) for name, value in terms.items()} == {
        "loss": 5.5,
        "extra_db": 6.0,
        "single_extra_db": 10.0,
    }


def test_parts_steps_workers_and_seeds_draw_other_numbers_and_the_same_ones_again() -> None:
    examples, drawn = made_examples(), list[float]()
    parts = [Part(Counting(1.0, drawn)), Part(Counting(1.0, drawn), prefix="b_")]
    for seed, step, worker in [(1, 0, 0), (1, 1, 0), (1, 0, 1), (2, 0, 0), (1, 0, 0)]:
        task_of(parts, lambda step: (examples, examples), seed, worker)(step)
    assert len(set(drawn[:8])) == 8
    assert drawn[8:] == drawn[:2]


def test_a_part_without_examples_is_an_error() -> None:
    parts = [Part(Counting(1.0, [])), Part(Counting(1.0, []), prefix="b_")]
    with pytest.raises(ValueError, match="shorter"):
        task_of(parts, lambda step: (made_examples(),), seed=1)(0)
