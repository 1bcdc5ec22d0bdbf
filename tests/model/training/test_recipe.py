"""What a recipe refuses: settings that contradict each other."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from model.training.recipe import NetworkRecipe, Recipe


def test_a_recipe_without_differences_is_supervised_training_of_the_compact_network() -> None:
    recipe = Recipe(about="plain")
    assert (recipe.objective, recipe.network.kind, recipe.queries.source) == (
        "supervised",
        "compact_clapsep",
        "blended",
    )
    assert recipe.network.start is recipe.network.encoder is recipe.network.lora_rank is None


@pytest.mark.parametrize("objective", ["weak", "semi"])
def test_what_nothing_reads_is_refused(objective: str) -> None:
    with pytest.raises(ValidationError, match=f"{objective} training asks by words, so nothing reads queries"):
        Recipe.model_validate({"about": "x", "objective": objective, "queries": {"source": "audio"}})
    with pytest.raises(ValidationError, match=r"manipulations are done to audio vectors, and queries\.source is text"):
        Recipe.model_validate({"about": "x", "queries": {"source": "text", "manipulations": [{"mixup": [0, 0.5]}]}})
    with pytest.raises(ValidationError, match="no manipulation 'drop'"):
        Recipe.model_validate({"about": "x", "queries": {"source": "audio", "manipulations": [{"drop": 0.5}]}})


def test_the_unet_is_not_asked_by_negatives() -> None:
    unet = {"about": "x", "network": {"kind": "conditional_unet"}}
    with pytest.raises(ValidationError, match="conditional_unet knows no negative queries"):
        Recipe.model_validate(unet)
    only = {"supervised": {"sides": {"positive_only": 1.0, "negative_only": 0.0}}}
    assert Recipe.model_validate(unet | only)
    assert Recipe.model_validate(unet | {"objective": "weak"})


@pytest.mark.parametrize("kind", ["compact_clapsep", "conditional_unet"])
def test_only_clapsep_has_attention_for_adapters(kind: str) -> None:
    with pytest.raises(ValidationError, match=f"lora_rank is for the attention of clapsep, and the network is {kind}"):
        NetworkRecipe.model_validate({"kind": kind, "lora_rank": 4})


def test_an_encoder_is_frozen_or_has_adapters() -> None:
    with pytest.raises(ValidationError, match="give frozen_encoder or lora_rank"):
        NetworkRecipe(kind="clapsep", lora_rank=4, frozen_encoder=True)
    assert NetworkRecipe(kind="clapsep", frozen_encoder=True).lora_rank is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"mixtures": {"batch": 0}},
        {"mixtures": {"sounds": 1}},
        {"mixtures": {"lowest_snr_db": 6.0}},
        {"mixtures": {"lowest_gain_db": 3.0}},
        {"supervised": {"absent_share": 1.5}},
        {"weak": {"phrases": 0}},
        {"single_share": 0.0},
        {"single_weight": 0.0},
        {"validation_mixtures": 0},
        {"network": {"lora_rank": 0}},
        {"queries": {"retrieval": {"temperature": 0.0}}},
        {"queries": {"exemplar": "another"}},
        {"networks": {}},
    ],
    ids=str,
)
def test_values_out_of_range_are_refused_by_their_key(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        Recipe.model_validate({"about": "wrong", **wrong})
    (first,) = wrong
    assert all(error["loc"][0] == first for error in refused.value.errors())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"mixtures": {"fewest_sounds": 1}}, "a silent sound cannot ask for itself; set queries.exemplar to sibling"),
        ({"mixtures": {"fewest_sounds": 1}, "objective": "weak"}, "which weak training cannot judge"),
        (
            {"network": {"kind": "clapsep"}, "supervised": {"measured_on": "bands"}},
            "supervised.measured_on is bands, and clapsep has no masks on mel bands",
        ),
        (
            {"mixtures": {"parts": 2}, "queries": {"exemplar": "sibling"}},
            r"a sound of 2 parts \(mixtures.parts\) has no label",
        ),
    ],
)
def test_keys_that_do_not_go_together_are_refused_by_their_paths(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Recipe.model_validate({"about": "wrong", **wrong})


def test_silent_sounds_are_asked_for_by_texts_or_siblings() -> None:
    for queries in ({"source": "text"}, {"source": "audio", "exemplar": "sibling"}):
        recipe = Recipe.model_validate({"about": "right", "mixtures": {"fewest_sounds": 1}, "queries": queries})
        assert recipe.mixtures.fewest_sounds == 1


def test_a_recipe_stays_as_it_is() -> None:
    with pytest.raises(ValidationError):
        Recipe(about="fixed").seed = 3
