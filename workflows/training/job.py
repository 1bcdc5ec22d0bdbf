"""What a person asks `train` for, and what one OUT holds one of: the recipe, the data and the model it begins from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from model.registry import model_signature
from model.training.recipe import Recipe
from model.training.recipe_file import RecipeError, recipe_of
from operators.dataset import SIGNATURE_FILE
from operators.whole_file import Place, place, write_whole

RUN_FILE: Final = "run.json"
MODEL_FILE: Final = "model.safetensors"
BEGUN: Final = "clips"
"""What was found is written when all clips are read, their number among it."""


class TrainingRunError(ValueError):
    """OUT belongs to another run; the message says what differs."""


class TrainingFailedError(RuntimeError):
    """Workers failed again and again; the message has the first failure. What was kept of the run can go on."""


@dataclass(frozen=True)
class TrainJob:
    """What a person asked for. `validation_share` of the clips are held out where no `validation` data are given."""

    recipe: Recipe
    recipe_name: str
    data: tuple[str, ...]
    out: str
    validation: tuple[str, ...] = ()
    validation_share: float = 0.1
    held_out_labels: frozenset[str] = frozenset()
    unwanted_licences: frozenset[str] = frozenset()
    workers: int = 1
    mixers: int = 1
    device: str = "auto"
    address: str | None = None


def described(job: TrainJob) -> dict[str, Any]:
    """What must be the same when a run goes on. The number of steps may be another: the decay then moves with it."""
    return {
        "recipe": _without_steps(job.recipe),
        "towers": model_signature(job.recipe.towers),
        "data": list(job.data),
        "validation": list(job.validation),
        "validation_share": job.validation_share,
        "held_out_labels": sorted(job.held_out_labels),
        "unwanted_licences": sorted(job.unwanted_licences),
        "workers": job.workers,
    }


def claim_out(job: TrainJob) -> None:
    """Write what OUT is to hold, or see that the run it holds is the same. A run whose clips were never read leaves
    OUT to another.

    Raises TrainingRunError that names what differs.
    """
    file = place(job.out) / RUN_FILE
    if not file.exists() and (place(job.out) / SIGNATURE_FILE).exists():
        raise TrainingRunError(f"{job.out} holds a dataset of sounds ({SIGNATURE_FILE}); give another --out")
    if file.exists():
        held = _held(file)
        if BEGUN in held:
            if differing := sorted(_differing(_of_this_version(held["asked"]), described(job))):
                raise TrainingRunError(
                    f"{job.out} holds a run that differs in {', '.join(differing)}; give another --out, or ask for "
                    "the same"
                )
            return
    write_run(job, {})


def _of_this_version(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What an earlier version wrote down, with the values that keys had which came since."""
    try:
        return {**asked, "recipe": _without_steps(recipe_of(asked["recipe"], "held"))}
    except (KeyError, RecipeError):
        return dict(asked)


def _without_steps(recipe: Recipe) -> dict[str, Any]:
    plain = recipe.model_dump(mode="json")
    plain["schedule"].pop("steps")
    return plain


def check_clips(job: TrainJob, digests: Mapping[str, str]) -> None:
    """Raises TrainingRunError where the run that OUT holds began with other clips or files; `digests` tell of them."""
    file = place(job.out) / RUN_FILE
    held = _held(file).get("digests", {}) if file.exists() else {}
    if differing := sorted(name for name in held if held[name] != digests.get(name)):
        raise TrainingRunError(
            f"{', '.join(differing)} changed since the run in {job.out} began, so it cannot go on as it was; give "
            "another --out, or bring them back"
        )


def _held(file: Place) -> dict[str, Any]:
    try:
        held = json.loads(file.fs.cat_file(file.path))
    except ValueError:
        held = None
    if not isinstance(held, dict) or not isinstance(held.get("asked"), dict):
        raise TrainingRunError(f"{file.uri} is there, and is not that of a training run; give another --out")
    return held


def write_run(job: TrainJob, found: Mapping[str, Any]) -> None:
    """`OUT/run.json`: what was asked for, and what was found."""
    text = json.dumps({"asked": described(job), "steps": job.recipe.schedule.steps, **found}, indent=1)
    write_whole((place(job.out) / RUN_FILE).uri, text.encode() + b"\n")


def _differing(held: Any, asked: Any, path: str = "") -> list[str]:
    """Where two trees of JSON differ."""
    if isinstance(held, dict) and isinstance(asked, dict):
        return [
            place
            for key in sorted(held.keys() | asked.keys())
            for place in _differing(held.get(key), asked.get(key), f"{path}.{key}".lstrip("."))
        ]
    return [] if held == asked else [path]
