"""Job files: a workflow and its options in YAML, run as they are or sent to a cluster.

    workflow: extract
    sources: [s3://archive/talks]
    catalog: catalog.yaml
    out: s3://stems/talks

Names of files that a command reads first (the catalog, a recipe, a list) are looked up beside the job file, where a
file of that name lies; everything else means what it means on the command line. Options given after the file win over
it.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from operators.strict_yaml import YamlError, parse_yaml
from workflows.jobs.job_fields import NO_PART, WORKFLOWS, command_of, fields_of
from workflows.jobs.job_recipe import JobRecipe, job_recipe
from workflows.jobs.local_paths import with_absolute_paths

if TYPE_CHECKING:  # the catalog brings pydantic and fsspec, and `--help` needs neither
    from operators.catalog import Catalog

BESIDE: Final = frozenset({"catalog", "recipe", "ucs_list", "list_csv", "unseen", "exemplars", "held_out"})
"""Options whose files lie beside the job file."""
SILENT: Final = frozenset({"json", "metrics_port", "pushgateway", "metrics_job", "device", "workers", "max_gpu_hours"})
"""Options that change nothing about what a job makes, only what it tells of it, and how fast and how far it gets."""
SILENT_IN_TRAINING: Final = SILENT - {"workers"} | {"mixers"}
"""Workers of a training have mixtures of their own: more of them are another training."""
WORK_DIGITS: Final = 10


class JobFileError(ValueError):
    """The job cannot be understood; the message names the file, what was found, and what may stand there."""


@dataclass(frozen=True)
class JobFile:
    """A job that was understood. `options` hold what is not the default, by their names in a job file."""

    workflow: str
    options: Mapping[str, Any]
    path: Path | None = field(default=None, compare=False)
    """The file it was read from, None for one that was given as options only."""

    @cached_property
    def catalog(self) -> Catalog | None:
        """Its catalog, read and checked. Raises CatalogError."""
        from operators.catalog import load_catalog

        return load_catalog(self.options["catalog"]) if "catalog" in self.options else None

    @cached_property
    def recipe(self) -> JobRecipe | None:
        """What it trains by, read and checked. Raises JobFileError."""
        if "recipe" not in self.options:
            return None
        from model.training.recipe_file import RecipeError

        try:
            return job_recipe(self.options["recipe"], self.options.get("set", ()))
        except RecipeError as error:
            raise JobFileError(str(error)) from error

    @cached_property
    def work(self) -> str:
        """10 hex digits over what the job does: workflow, options, the content of catalog, recordings, recipe and
        lists."""
        silent = SILENT_IN_TRAINING if self.workflow == "train" else SILENT
        asked = {name: value for name, value in with_absolute_paths(self.options).items() if name not in silent}
        lists = {name: _content_of(asked[name]) for name in BESIDE - {"catalog", "recipe"} if name in asked}
        asked = {**asked, **lists}
        if self.catalog is not None:
            asked["catalog"] = self.catalog.content_hash
        if self.recipe is not None:
            asked = {**asked, "recipe": self.recipe.content, "set": None}
        text = json.dumps([self.workflow, asked], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:WORK_DIGITS]


def read_job(path: Path, arguments: Sequence[str] = ()) -> JobFile:
    """The job in a file, with what `arguments` say instead. Raises JobFileError."""
    content = _read(path)
    workflow = content.pop("workflow", None)
    if workflow not in tuple(WORKFLOWS):
        raise JobFileError(_no_workflow(path, workflow))
    fields = fields_of(workflow)
    for name, value in content.items():
        if name not in fields:
            raise JobFileError(f"{path}: unknown key {name!r}: {_known(str(name), workflow)}")
        if said := fields[name].wrong(value):
            raise JobFileError(f"{path}: {said}")
    return _job(workflow, arguments, {name: _beside(path, name, value) for name, value in content.items()}, path)


def job_of(workflow: str, arguments: Sequence[str]) -> JobFile:
    """The job that a command line asks for. Raises JobFileError."""
    return _job(workflow, arguments, {}, None)


def context_of(job: JobFile, arguments: Sequence[str] = ()) -> Any:
    """The workflow's command with this job's options, ready to be invoked."""
    command, fields = command_of(job.workflow), fields_of(job.workflow)
    named = {fields[name].parameter: value for name, value in job.options.items()}
    for parameter in command.params:
        if parameter.name in named:
            parameter.envvar = None  # what a file says wins over the environment of who runs it
    return command.make_context(_called(job.workflow, job.path), list(arguments), default_map=named)


def _job(workflow: str, arguments: Sequence[str], content: Mapping[str, Any], path: Path | None) -> JobFile:
    """The options of a file and of a command line, put together by the command itself."""
    context = context_of(JobFile(workflow, content, path), arguments)
    options: dict[str, Any] = {}
    for name, asked in fields_of(workflow).items():
        # What the environment of this process says is no part of the job: it may run in another one.
        source = context.get_parameter_source(asked.parameter).name
        if source not in ("COMMANDLINE", "DEFAULT_MAP"):
            continue
        value = context.params[asked.parameter]
        value = [str(entry) for entry in value] if asked.many else str(value) if isinstance(value, Path) else value
        if said := asked.wrong(value):
            option = f"--{name.replace('_', '-')}" if source == "COMMANDLINE" else name
            raise JobFileError(option + said.removeprefix(name))
        if value != asked.default or asked.is_told_by_environment:
            options[name] = value
    if missing := [name for name, asked in fields_of(workflow).items() if asked.required and name not in options]:
        where = "" if path is None else f"{path}: "
        raise JobFileError(
            f"{where}a job of {workflow} must say {', '.join(missing)}; see soundquarry {workflow} --help"
        )
    return JobFile(workflow, options, path)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        close = difflib.get_close_matches(str(path), WORKFLOWS, n=1)
        hint = f"did you mean the workflow {close[0]!r}? " if close else ""
        raise JobFileError(f"no job file at {path}: {hint}give a YAML file, see `soundquarry run --help`") from None
    except IsADirectoryError:
        raise JobFileError(f"{path} is a folder: give the YAML file of a job") from None
    except UnicodeDecodeError:
        raise JobFileError(f"{path}: this is not UTF-8 text: give a job file in YAML") from None
    except YamlError as error:
        raise JobFileError(f"{path}{error}") from None
    if not isinstance(content, dict):
        raise JobFileError(f"{path}: expected 'workflow:' and its options, found {content!r:.80}")
    return content


def _beside(path: Path, name: str, value: Any) -> Any:
    if name not in BESIDE or value is None or "://" in value:
        return value
    beside = path.absolute().parent / value
    return str(beside) if beside.is_file() else value


def _content_of(name: Any) -> Any:
    """A hash of the file of that name, so that its folder does not count; the name where there is no file here."""
    path = Path(str(name)).expanduser()
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" if path.is_file() else name


def _no_workflow(path: Path, found: Any) -> str:
    choices = ", ".join(WORKFLOWS)
    if found is None:
        return f"{path}: there is no 'workflow': write 'workflow: extract' (or one of {choices})"
    close = difflib.get_close_matches(str(found), WORKFLOWS, n=1)
    return f"{path}: workflow is {found!r}: " + (f"did you mean {close[0]!r}?" if close else f"give one of {choices}")


def _known(name: str, workflow: str) -> str:
    if name in NO_PART:
        return NO_PART[name]
    fields = fields_of(workflow)
    close = difflib.get_close_matches(name.replace("-", "_"), fields, n=1)
    return f"did you mean {close[0]!r}?" if close else f"{workflow} knows {', '.join(fields)}"


def _called(workflow: str, path: Path | None) -> str:
    return f"soundquarry {workflow}" if path is None else f"soundquarry run {path}"
