"""Recipes as yaml files of differences: what a file says stands over what its `base` says, key by key.

    base: supervised            one recipe, or several, the later over the earlier; names of ready ones, or paths
    mixtures: {batch: 32}

`key=value` settings from the command line stand over all of it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_type_hints

import yaml
from pydantic import ValidationError

from model.training.recipe import Recipe

RECIPES: Final = Path(__file__).parent.parent / "recipes"
FRAGMENT: Final = "_"
"""Begins the name of a file that is only a base."""
UNKNOWN_KEY: Final = ("extra_forbidden", "unexpected_keyword_argument")


class RecipeError(ValueError):
    """A recipe that cannot be used: the message names the file or the key, the value, and what would do."""


def recipe_names() -> list[str]:
    """Names of the recipes that come along."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml") if not path.stem.startswith(FRAGMENT))


def read_recipe(name_or_path: str, settings: Sequence[str] = ()) -> Recipe:
    """The recipe of a name or path, changed by settings such as "mixtures.batch=8". Raises RecipeError."""
    values = _with_bases(name_or_path, Path.cwd(), ())
    for setting in settings:
        _put(values, setting)
    return recipe_of(values, name_or_path)


def recipe_of(values: Mapping[str, Any], name: str) -> Recipe:
    """The recipe of plain values, as a file or a checkpoint holds them. Raises RecipeError."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(f"recipe {name}: {'; '.join(map(_said, error.errors()))}") from None


def _said(problem: Mapping[str, Any]) -> str:
    """The key, the value, and what would do."""
    *path, key = problem["loc"] or ("recipe",)
    where = ".".join(map(str, (*path, key)))
    if problem["type"] in UNKNOWN_KEY:
        keys = _keys(path)
        nearest = difflib.get_close_matches(str(key), keys, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(keys)}"
        return f"{where}: there is no such key; {hint}"
    said = str(problem["msg"]).removeprefix("Value error, ").replace("self.", "")
    got = "" if problem["type"] in ("value_error", "missing") else f", got {problem['input']!r}"
    return f"{where}: {said}{got}"


def _keys(path: Sequence[Any]) -> list[str]:
    """The keys of a section of recipes."""
    section: Any = Recipe
    for name in path:
        section = get_type_hints(section).get(name, Recipe)
    return [name for name in get_type_hints(section) if name.islower() and not name.startswith(("_", "model_"))]


def _with_bases(name_or_path: str, folder: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    path = _find(name_or_path, folder)
    if path in above:
        raise RecipeError(f"recipe {path} is a base of itself ({' -> '.join(str(p) for p in (*above, path))})")
    try:
        own = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"recipe {path} cannot be read: {error}") from error
    if not isinstance(own, dict):
        raise RecipeError(f"recipe {path} is {type(own).__name__}, not keys with values")
    bases = own.pop("base", [])
    values: dict[str, Any] = {}
    for base in bases if isinstance(bases, list) else [bases]:
        values = _over(values, _with_bases(str(base), path.parent, (*above, path)))
    return _over(values, own)


def _find(name_or_path: str, folder: Path) -> Path:
    for path in (RECIPES / f"{name_or_path}.yaml", folder / name_or_path):
        if path.is_file():
            return path.resolve()
    nearest = difflib.get_close_matches(name_or_path, recipe_names(), n=1)
    hint = f" (did you mean {nearest[0]}?)" if nearest else ""
    raise RecipeError(f"no recipe {name_or_path!r}{hint}: it is neither a file nor one of {', '.join(recipe_names())}")


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both, where mappings meet key by key, and else what is above."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def _put(values: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {setting}: give key=value, such as mixtures.batch=8")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {setting}: the value is not yaml ({error})") from error
    *path, last = key.strip().split(".")
    at = values
    for name in path:
        inner = at.setdefault(name, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"--set {setting}: {name} is {inner!r}, it has no keys of its own")
        at = inner
    at[last] = value
