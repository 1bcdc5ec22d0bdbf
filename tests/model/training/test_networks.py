"""The network of a recipe: what it is, where its weights come from, and which of them learn."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from small_model import EMBEDDING, SEPARATOR, save_small, small_clap, small_separator
from small_unet import SMALL_UNET, small_unet
from torch import Tensor, nn

from model.clapsep import CLAPSep
from model.compact_clapsep import CompactCLAPSep
from model.conditional_unet import ConditionalUNet
from model.training.encoder_pretraining import encoder_parts, save_encoder
from model.training.lora import merge_adapters
from model.training.networks import build_network
from model.training.recipe import NetworkRecipe
from model.training.recipe_file import RecipeError

COMPACT = {name: value for name, value in asdict(SEPARATOR).items() if name != "embedding"}
UNET = {name: value for name, value in asdict(SMALL_UNET).items() if name not in ("embedding", "token_width")}
ENCODER = {"width": 8, "depths": [1, 1, 1, 1], "heads": [1, 2, 2, 2]}
PUBLISHED = {"encoder": ENCODER, "mask_width": 32, "mask_heads": 2, "mask_layers": 1}
CONFIGS: dict[str, dict[str, Any]] = {"compact_clapsep": COMPACT, "clapsep": PUBLISHED, "conditional_unet": UNET}


def recipe(kind: str = "compact_clapsep", **more: Any) -> NetworkRecipe:
    return NetworkRecipe.model_validate({"kind": kind, "config": CONFIGS[kind], **more})


def weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def learning(network: nn.Module) -> set[str]:
    return {name for name, weight in network.named_parameters() if weight.requires_grad}


@pytest.mark.parametrize(
    ("kind", "made"),
    [("compact_clapsep", CompactCLAPSep), ("clapsep", CLAPSep), ("conditional_unet", ConditionalUNet)],
)
def test_every_kind_is_built_and_all_of_it_learns(kind: str, made: type[nn.Module]) -> None:
    network = build_network(recipe(kind), small_clap(), seed=1)
    assert isinstance(network, made)
    assert network.training
    assert network.config.embedding == EMBEDDING  # type: ignore[union-attr]
    assert learning(network) == {name for name, _ in network.named_parameters()}


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_same_seed_gives_the_same_weights_and_leaves_the_world_alone(kind: str) -> None:
    before = torch.random.get_rng_state()
    one, same, other = (weights(build_network(recipe(kind), small_clap(), seed)) for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("kind", ["compact_clapsep", "clapsep"])
def test_a_frozen_encoder_does_not_learn_and_everything_else_does(kind: str) -> None:
    network = build_network(recipe(kind, frozen_encoder=True), small_clap(), seed=1)
    inside = {id(weight) for weight in encoder_parts(network).parameters()}
    assert inside
    for name, weight in network.named_parameters():
        assert weight.requires_grad is (id(weight) not in inside), name


def test_adapters_learn_in_place_of_the_encoder_and_are_merged_away() -> None:
    network = build_network(recipe("clapsep", lora_rank=2), small_clap(), seed=1)
    plain = build_network(recipe("clapsep"), small_clap(), seed=1)
    inside = {name for name in learning(network) if name.startswith("encoder.")}
    assert {name.rpartition(".")[2] for name in inside} == {"lora_A", "lora_B", "bias"}
    assert {name for name in learning(network) if name not in inside} == {
        name for name in learning(plain) if not name.startswith("encoder.")
    }
    merge_adapters(network)
    assert weights(network).keys() == weights(plain).keys()
    assert all(torch.equal(value, weights(plain)[name]) for name, value in weights(network).items())


@pytest.mark.parametrize(
    ("kind", "config", "said"),
    [
        ("compact_clapsep", {"widhts": [4]}, "network.config of compact_clapsep: widhts: Unexpected"),
        ("compact_clapsep", {"bands": "many"}, "network.config of compact_clapsep: bands: "),
        ("compact_clapsep", {"embedding": 9}, "network.config.embedding is 9, but the towers embed in 8; leave it out"),
        ("conditional_unet", {"conditioned": 7}, "some levels read the query, not all"),
        ("conditional_unet", {"hop_samples": 1024}, "network.config of conditional_unet: n_fft must be even"),
        ("clapsep", {"encoder": {"width": 0.5}}, "network.config of clapsep: encoder.width: "),
        ("clapsep", {"encoder": {"weight": 8}}, "network.config of clapsep: encoder.weight: Unexpected"),
    ],
    ids=str,
)
def test_a_configuration_that_does_not_fit_is_told_of_by_its_key(kind: str, config: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError) as refused:
        build_network(NetworkRecipe.model_validate({"kind": kind, "config": config}), small_clap(), seed=1)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"kind": "conditional_unet", "frozen_encoder": True}, "network.frozen_encoder: the mixture encoder of Cond"),
     ({"kind": "clapsep", "lora_rank": 99}, "network.lora_rank: a rank is 1 to 8")],
)  # fmt: skip
def test_what_cannot_be_done_to_an_encoder_is_told_of_by_its_key(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError) as refused:
        build_network(recipe(**wrong), small_clap(), seed=1)
    assert said in str(refused.value)


def test_a_run_starts_from_a_trained_model(tmp_path: Path) -> None:
    path = save_small(tmp_path / "small.safetensors", seed=4)
    network = build_network(recipe(start=str(path)), small_clap(), seed=1)
    trained = weights(small_separator(seed=4))
    assert all(torch.allclose(value, trained[name], atol=1e-2) for name, value in weights(network).items())
    assert network.training
    assert learning(network) == {name for name, _ in network.named_parameters()}


def test_a_run_does_not_start_from_a_model_of_another_shape(tmp_path: Path) -> None:
    path = save_small(tmp_path / "small.safetensors")
    other = NetworkRecipe(config={**COMPACT, "activity": 4}, start=str(path))
    with pytest.raises(RecipeError, match=r"network\.start is .*small\.safetensors, a network of another shape: "):
        build_network(other, small_clap(), seed=1)


def test_a_pretrained_encoder_is_where_a_run_begins(tmp_path: Path) -> None:
    taught = small_separator(seed=4)
    save_encoder(tmp_path / "encoder.safetensors", taught, {})
    network = build_network(recipe(encoder=str(tmp_path / "encoder.safetensors")), small_clap(), seed=1)
    untaught = weights(build_network(recipe(), small_clap(), seed=1))
    for name, value in weights(network).items():
        inside = name.partition(".")[0] in ("encoder", "band_norm")
        assert torch.equal(value, weights(taught)[name] if inside else untaught[name]), name


def test_an_encoder_that_does_not_fit_is_told_of_by_its_key(tmp_path: Path) -> None:
    save_encoder(tmp_path / "encoder.safetensors", small_separator(), {})
    with pytest.raises(RecipeError, match=r"network\.encoder: .*none that fits this CLAPSep"):
        build_network(recipe("clapsep", encoder=str(tmp_path / "encoder.safetensors")), small_clap(), seed=1)
    with pytest.raises(RecipeError, match=r"network\.encoder: the mixture encoder of ConditionalUNet"):
        build_network(recipe("conditional_unet", encoder=str(tmp_path / "encoder.safetensors")), small_clap(), seed=1)


def test_the_u_net_reads_the_embedding_as_its_only_token() -> None:
    network = build_network(recipe("conditional_unet"), small_clap(), seed=1)
    assert network.config.token_width == EMBEDDING  # type: ignore[union-attr]
    assert weights(network).keys() == weights(small_unet()).keys()
