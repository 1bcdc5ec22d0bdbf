"""The best network of a run as the one file that every other command takes, its recipe inside."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.training.lora import merge_adapters

from model.checkpoint import save_checkpoint
from model.registry import DEFAULT_MODEL, load_model
from model.separator import Separator
from model.training.networks import build_network
from model.training.recipe import Recipe
from model.training.training_state import State
from operators.whole_file import place, write_whole
from workflows.training.job import MODEL_FILE


def export_model(recipe: Recipe, state: State, out: str, provenance: Mapping[str, Any]) -> str:
    """Write `OUT/model.safetensors`, of the best validation; returns where it is.

    A network that cannot tell presence names the model that tells it, that of its towers where they have one.
    """
    towers = load_model(recipe.towers)
    network = build_network(recipe.network, towers.clap.width, recipe.seed)
    network.load_state_dict(state["best"] or state["average"])
    merge_adapters(network)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MODEL_FILE
        save_checkpoint(
            path,
            separator=network.eval(),
            clap=towers.clap,
            calibration=towers.calibration,
            provenance={**provenance, "recipe": recipe.model_dump(mode="json"), "steps": state["step"]},
            gate=None if isinstance(network, Separator) else DEFAULT_MODEL,
        )
        target = place(out) / MODEL_FILE
        write_whole(target.uri, path.read_bytes())
    return target.uri
