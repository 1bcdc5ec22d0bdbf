"""The network of a recipe: built with seeded weights, or taken from a trained model, and which of its weights learn."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import ConfigDict, ValidationError, create_model
from torch import nn

from model.checkpoint import NETWORKS
from model.compact_clapsep import CompactCLAPSep
from model.gated import GatedSeparator
from model.registry import load_model
from model.separator import MaskNetwork
from model.towers import Towers
from model.training.encoder_pretraining import encoder_parts, load_encoder, take_from_towers
from model.training.lora import add_adapters, freeze
from model.training.recipe import NetworkRecipe
from model.training.recipe_file import RecipeError

TOWERS: Final = "towers"
"""As an encoder: the audio tower that embeds the queries."""


def build_network(recipe: NetworkRecipe, towers: Towers, seed: int) -> MaskNetwork:
    """The network of a recipe for queries of `towers`, in training mode. Same recipe, towers and seed, same weights.

    Raises RecipeError for a configuration that does not fit.
    """
    kind, config = NETWORKS[recipe.kind]
    with torch.random.fork_rng(), _blamed_on(f"config of {recipe.kind}"):
        torch.manual_seed(seed)
        network: MaskNetwork = kind(_config(recipe, config, towers.width))
    if recipe.start is not None:
        _start_from(network, recipe.start)
    if recipe.encoder is not None:
        with _blamed_on("encoder"):
            if recipe.encoder == TOWERS:
                take_from_towers(network, towers)
            else:
                load_encoder(network, Path(recipe.encoder))
    if recipe.frozen_encoder:
        with _blamed_on("frozen_encoder"):
            for part in encoder_parts(network).values():
                freeze(part)
    if recipe.lora_rank is not None:
        with _blamed_on("lora_rank"):
            encoder = encoder_parts(network)["encoder"]
            add_adapters(encoder, recipe.lora_rank, generator=torch.Generator().manual_seed(seed))
    if isinstance(network, CompactCLAPSep):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.train()


@contextlib.contextmanager
def _blamed_on(key: str) -> Iterator[None]:
    """What the network refuses is told of as the recipe's key."""
    try:
        yield
    except RecipeError:
        raise
    except ValueError as error:
        raise RecipeError(f"network.{key}: {error}") from error


def _config(recipe: NetworkRecipe, config: type[Any], embedding: int) -> Any:
    values = {"embedding": embedding, **recipe.config}
    if recipe.kind == "conditional_unet":
        values.setdefault("token_width", embedding)  # the embedding is the only token in training
    try:
        checked = create_model("Checked", __config__=ConfigDict(extra="forbid"), made=(config, ...))(made=values)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, part['loc'][1:]))}: {part['msg']}" for part in error.errors())
        raise RecipeError(f"network.config of {recipe.kind}: {said}") from None
    made: Any = checked.made  # type: ignore[attr-defined]
    if made.embedding != embedding:
        raise RecipeError(
            f"network.config.embedding is {made.embedding}, but the towers embed in {embedding}; leave it out"
        )
    return made


def _start_from(network: MaskNetwork, name: str) -> None:
    trained = load_model(name).separator
    own: nn.Module = trained.network if isinstance(trained, GatedSeparator) else trained
    try:
        network.load_state_dict(own.state_dict())
    except RuntimeError as error:
        raise RecipeError(f"network.start is {name}, a network of another shape: {error}") from error
