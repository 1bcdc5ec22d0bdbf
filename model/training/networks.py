"""The network of a recipe: built with seeded weights, or taken from a trained model, and which of its weights learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from model.checkpoint import NETWORKS
from model.compact_clapsep import CompactCLAPSep
from model.gated import GatedSeparator
from model.registry import load_model
from model.separator import MaskNetwork
from model.training.encoder_pretraining import encoder_parts, load_encoder
from model.training.lora import add_adapters
from model.training.recipe import NetworkRecipe
from model.training.recipe_file import RecipeError


def build_network(recipe: NetworkRecipe, embedding: int, seed: int) -> MaskNetwork:
    """The network of a recipe for towers of width `embedding`, in training mode. Same recipe and seed, same weights.

    Raises RecipeError for a configuration that does not fit.
    """
    kind, config = NETWORKS[recipe.kind]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network: MaskNetwork = kind(_config(recipe, config, embedding))
    if recipe.start is not None:
        _start_from(network, recipe.start)
    if recipe.encoder is not None:
        load_encoder(network, Path(recipe.encoder))
    if recipe.frozen_encoder:
        encoder_parts(network).requires_grad_(False)
    if recipe.lora_rank is not None:
        encoder = encoder_parts(network)["encoder"]
        add_adapters(encoder, recipe.lora_rank, generator=torch.Generator().manual_seed(seed))
    if isinstance(network, CompactCLAPSep):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.train()


def _config(recipe: NetworkRecipe, config: type[Any], embedding: int) -> Any:
    values = {"embedding": embedding, **recipe.config}
    if recipe.kind == "conditional_unet":
        values.setdefault("token_width", embedding)  # the embedding is the only token in training
    try:
        made = TypeAdapter(config).validate_python(values)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())
        raise RecipeError(f"network.config of {recipe.kind}: {said}") from None
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
