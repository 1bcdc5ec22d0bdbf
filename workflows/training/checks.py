"""What is looked at before a training begins, so that it does not end in the middle."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional

from model.digest import sha256_of
from model.separator import Condition, MaskNetwork
from model.towers import Towers
from model.training.clips import ClipLibrary
from model.training.mixtures import MixtureDraw
from model.training.networks import TOWERS
from model.training.recipe import Recipe
from model.training.recipe_file import RecipeError
from model.training.schemes import needs_words
from workflows.training.clip_list import TrainingDataError
from workflows.training.job import TrainJob


def check_words(job: TrainJob, library: ClipLibrary) -> None:
    """Raises TrainingDataError where clips are to be asked for by words that nobody knows."""
    wordless = [clip.label for clip in library.clips if not clip.caption and not library.wordings[clip.label]]
    if wordless and needs_words(job.recipe):
        raise TrainingDataError(
            f"{job.recipe_name} asks for clips by their captions, and {len(wordless)} of {len(library.clips)} clips "
            f"have none (first: one of {wordless[0]}); add a column caption, or train by a recipe that needs none "
            "(audio_only, retrieval, mixed)"
        )


def check_network(recipe: Recipe, network: MaskNetwork, towers: Towers, draw: MixtureDraw) -> None:
    """Raises RecipeError for mixtures that the network cannot hear."""
    mixture = draw(0).mixture[:1]
    try:
        with torch.no_grad():
            network.eval()(mixture, Condition(functional.normalize(torch.ones(1, 2 * towers.width), dim=-1)))
    except (RuntimeError, ValueError) as error:
        raise RecipeError(
            f"{recipe.network.kind} cannot hear mixtures of {recipe.mixtures.seconds:g} s (mixtures.seconds): {error}"
        ) from error


def named_files(recipe: Recipe) -> dict[str, str]:
    """Digests of the files that a recipe names. Raises RecipeError for one that is not there."""
    named = {
        "network.encoder": None if recipe.network.encoder == TOWERS else recipe.network.encoder,
        "queries.retrieval.cache": recipe.queries.retrieval.cache,
    }
    files = {name: Path(file) for name, file in named.items() if file is not None}
    for name, file in files.items():
        if not file.is_file():
            raise RecipeError(f"{name} is {str(file)!r}, and there is no such file in {Path.cwd()}; check the path")
    return {name: sha256_of(file) for name, file in files.items()}
