"""The recipe of a training job, resolved: bases and settings put together, paths of this machine from their root on.

A ready recipe that names no path is known on every machine, and is named and not sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workflows.jobs.local_paths import is_path, may_be_checkpoint

if TYPE_CHECKING:  # it brings torch, and most jobs need none
    from model.training.recipe import Recipe

MODELS: Final = ("towers", "network.start")
"""What names a model: by its name, or by the path of a checkpoint."""
FILES: Final = ("network.encoder", "queries.retrieval.cache")
"""What names a file, which is read by path."""


@dataclass(frozen=True)
class JobRecipe:
    """What the job trains by. `ready`: the name of a recipe that comes along, else None."""

    recipe: Recipe
    ready: str | None

    @property
    def written(self) -> dict[str, Any]:
        """What a recipe file of its own says: everything that is not a default."""
        return self.recipe.model_dump(mode="json", exclude_defaults=True)

    @property
    def content(self) -> dict[str, Any]:
        """All of it: same content, same training."""
        return self.recipe.model_dump(mode="json")

    @property
    def models(self) -> Iterator[tuple[str, str]]:
        """Key and name of every model that it begins with."""
        for key in MODELS:
            if (named := _at(self.content, key)) is not None:
                yield key, named

    @property
    def paths(self) -> Iterator[tuple[str, str]]:
        """Key and path of everything that lies in a file."""
        yield from ((key, named) for key, named in self.models if may_be_checkpoint(named))
        for key in FILES:
            if (named := _at(self.content, key)) is not None:
                yield key, named


def job_recipe(name: str, settings: Sequence[str]) -> JobRecipe:
    """The recipe of a name or path, with settings such as "mixtures.batch=8". Raises RecipeError."""
    from model.training.recipe_file import read_recipe, recipe_names, recipe_of

    values = read_recipe(name, settings).model_dump(mode="json")
    for key in (*MODELS, *FILES):
        named = _at(values, key)
        if named is not None and is_path(named) and (key in FILES or may_be_checkpoint(named)):
            *above, last = key.split(".")
            reduce(dict.__getitem__, above, values)[last] = str(Path(named).expanduser().absolute())
    resolved = JobRecipe(recipe_of(values, name), None)
    return JobRecipe(resolved.recipe, name) if name in recipe_names() and not [*resolved.paths] else resolved


def _at(values: Mapping[str, Any], key: str) -> Any:
    return reduce(lambda value, name: value[name], key.split("."), values)
