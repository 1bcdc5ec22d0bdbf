"""What is sent of a job, to any place: a job file that stands alone, its catalog and the catalog's recordings, or its
recipe and the labels that it must not train on.

All of it lies in one flat folder, under names that a Kubernetes ConfigMap can hold. What is wrong with the job is found
while packing, before anything is sent.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import fsspec
import yaml

from operators.catalog import Catalog, QuerySpec, ready_catalogs
from operators.ucs import check_categories
from workflows.commands.run_checks import wrong_run
from workflows.jobs.job_fields import fields_of
from workflows.jobs.job_file import JobFile, JobFileError
from workflows.jobs.job_recipe import JobRecipe
from workflows.jobs.local_paths import (
    is_path,
    may_be_checkpoint,
    with_absolute_paths,
    words_about,
    words_about_paths,
)

JOB_FILE: Final = "job.yaml"
CATALOG_FILE: Final = "catalog.yaml"
RECIPE_FILE: Final = "recipe.yaml"
HELD_OUT_FILE: Final = "held_out.txt"
OF_A_RUN: Final = ("device", "unit_seconds", "workers", "max_gpu_hours", "metrics_port", "pushgateway")
KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,200}")
"""Names that may be a key of a ConfigMap."""


@dataclass(frozen=True)
class Parcel:
    """Files by name, and what a person should know before they are sent."""

    files: Mapping[str, bytes]
    warnings: tuple[str, ...]


def parcel(job: JobFile, mounted: Collection[str] = ()) -> Parcel:
    """The job, packed; `mounted` are folders that every machine of the cluster has.

    Raises JobFileError and CatalogError for what could not run.
    """
    _check(job)
    options, files = with_absolute_paths(job.options), {}
    if job.catalog is not None:
        if options.get("ucs_list") is not None and is_path(options["ucs_list"]):
            check_categories(job.catalog, options.pop("ucs_list"))  # the answer is known here, the list is not there
        if options["catalog"] not in ready_catalogs():
            recordings, catalog = _with_recordings(job.catalog)
            files = {CATALOG_FILE: _yaml(catalog), **recordings}
            options["catalog"] = CATALOG_FILE
    warnings = _words_of_recipe(job.recipe, mounted)
    if job.recipe is not None and job.recipe.ready is None:
        files[RECIPE_FILE] = _yaml(job.recipe.written)
        options = {name: value for name, value in options.items() if name != "set"} | {"recipe": RECIPE_FILE}
    told = dict(options)
    if "held_out" in options and (held_out := Path(options["held_out"])).is_file():
        files[HELD_OUT_FILE] = held_out.read_bytes()
        options["held_out"] = HELD_OUT_FILE
        del told["held_out"]
    order = [name for name in fields_of(job.workflow) if name in options]
    only_paths = [name for name, field in fields_of(job.workflow).items() if field.kind is Path]
    content = {"workflow": job.workflow, **{name: options[name] for name in order}}
    warnings = [*words_about_paths(told, only_paths, mounted), *warnings]
    return Parcel({JOB_FILE: _yaml(content), **files}, tuple(warnings))


def _words_of_recipe(recipe: JobRecipe | None, mounted: Collection[str]) -> list[str]:
    """A sentence for everything that a recipe names by a path of this machine: weights, a cache of captions."""
    paths = [] if recipe is None else recipe.paths
    said = [words_about(f"recipe: {key}", [path], mounted, may_be_url=False) for key, path in paths]
    return [sentence for sentence in said if sentence]


def _check(job: JobFile) -> None:
    """Raises JobFileError for what would end the job as soon as it has begun."""
    said = wrong_run(**{name: job.options[name] for name in OF_A_RUN if job.options.get(name) is not None})
    if said:
        raise JobFileError(said)
    if "model" in job.options:
        _check_model(job.options["model"])
    for key, model in () if job.recipe is None else job.recipe.models:
        _check_model(model, f"recipe: {key}: ")
    _check_settings(job)


def _check_model(model: str, where: str = "") -> None:
    """Raises JobFileError for a name that no model has, here or there."""
    from model.registry import model_names, no_such_model

    if model not in model_names() and not may_be_checkpoint(model):
        raise JobFileError(f"{where}{no_such_model(model)}")


def _check_settings(job: JobFile) -> None:
    """Raises JobFileError for options that exclude one another."""
    from pydantic import ValidationError

    from operators.settings import ExtractSettings, MineSettings

    kinds: dict[str, type[ExtractSettings]] = {"extract": ExtractSettings, "mine": MineSettings}
    kind = kinds.get(job.workflow)
    if kind is None:
        return
    options = {"gate": not job.options.get("no_gate", False), **job.options}
    values = {name: options[key] for name in kind.model_fields if (key := _option_of(name, options))}
    try:
        kind.model_validate(values)
    except ValidationError as error:
        raise JobFileError(str(error.errors()[0]["msg"]).removeprefix("Value error, ")) from None


def _option_of(setting: str, options: Mapping[str, Any]) -> str | None:
    return next((name for name in (setting, setting.removesuffix("_seconds")) if name in options), None)


def _with_recordings(catalog: Catalog) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The recordings of this machine by their names in the parcel, and the catalog that uses these names."""
    names: dict[str, str] = {}
    for query in catalog.queries:
        for uri in (*query.audio, *query.negative_audio):
            if is_path(uri) and uri not in names:
                names[uri] = _name_for(uri, taken={JOB_FILE, CATALOG_FILE, *names.values()})
    queries = [_written(query, names) for query in catalog.queries]
    return {name: _bytes_of(uri) for uri, name in names.items()}, {"name": catalog.name, "queries": queries}


def _name_for(uri: str, taken: set[str]) -> str:
    """The recording's own name, since an id-less query is told by it; else one with a hash of where it lies."""
    name = Path(uri).name
    if KEY.fullmatch(name) and name not in taken:
        return name
    digest = hashlib.sha256(uri.encode()).hexdigest()[:10]
    return f"{re.sub(r'[^-._a-zA-Z0-9]', '_', Path(uri).stem)[:100]}-{digest}{Path(uri).suffix}"


def _written(query: QuerySpec, names: Mapping[str, str]) -> dict[str, Any]:
    """The query as a catalog file says it."""
    said = query.model_dump(mode="json", exclude_defaults=True)
    for side in ("audio", "negative_audio"):
        if side in said:
            said[side] = [names.get(uri, uri) for uri in said[side]]
    return said


def _bytes_of(uri: str) -> bytes:
    with fsspec.open(uri, "rb") as file:
        return bytes(file.read())


def _yaml(content: Any) -> bytes:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000).encode()
