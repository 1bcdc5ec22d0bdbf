"""The best network of a run as the one file that every other command takes, its recipe inside."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from model.checkpoint import Calibration, save_checkpoint
from model.registry import DEFAULT_MODEL, load_model
from model.separator import MaskNetwork, Separator
from model.training.lora import merge_adapters
from model.training.networks import build_network
from model.training.recipe import Recipe
from model.training.training_state import State
from operators.whole_file import place, write_whole
from workflows.training.job import MODEL_FILE

DONE_FILE: Final = "done.json"


def gate_of(recipe: Recipe, network: MaskNetwork) -> str | None:
    """The model that tells presence for a network of this recipe; None for one that can, and learns it."""
    learns = recipe.objective != "weak" and recipe.supervised.presence_weight > 0.0
    return None if learns and isinstance(network, Separator) else DEFAULT_MODEL


@dataclass(frozen=True)
class Done:
    """What a run had done when its model was written. `score` is the best validation's SI-SDR improvement in dB."""

    steps: int
    score: float | None


def write_done(done: Done, out: str) -> None:
    """`OUT/done.json`, beside the model that it tells of."""
    write_whole((place(out) / DONE_FILE).uri, json.dumps(asdict(done)).encode() + b"\n")


def read_done(out: str) -> Done | None:
    """What `write_done` wrote; None where there is no whole model."""
    file = place(out) / DONE_FILE
    if not file.exists() or not (place(out) / MODEL_FILE).exists():
        return None
    try:
        return Done(**json.loads(file.fs.cat_file(file.path)))
    except (TypeError, ValueError):  # torn, or of another version: the last state knows
        return None


def forget_done(out: str) -> None:
    """Before another model is written."""
    file = place(out) / DONE_FILE
    if file.exists():
        file.fs.rm_file(file.path)


def export_model(recipe: Recipe, state: State, out: str, provenance: Mapping[str, Any]) -> str:
    """Write `OUT/model.safetensors`, of the best validation; returns where it is.

    A network that cannot tell presence names the default model, which tells it. Thresholds are 0.5: nothing
    was calibrated.
    """
    towers = load_model(recipe.towers)
    network = build_network(recipe.network, towers.clap, recipe.seed)
    network.load_state_dict(state["best"] or state["average"])
    merge_adapters(network)
    gate = gate_of(recipe, network)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MODEL_FILE
        save_checkpoint(
            path,
            separator=network.eval(),
            clap=towers.clap,
            calibration=Calibration() if gate is None else None,
            provenance={**provenance, "recipe": recipe.model_dump(mode="json"), "steps": state["step"]},
            gate=gate,
        )
        target = place(out) / MODEL_FILE
        write_whole(target.uri, path.read_bytes())
    return target.uri
