"""What a job file may say: the options of the commands that are work for a cluster, by their names with underscores.

Everything here is read off the commands themselves and off the settings they fill, so an option is written once.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import typer

from workflows.commands.archives import extract, mine
from workflows.commands.evaluation import evaluate
from workflows.commands.options import DEVICES, FEWEST_WORKERS, PORTS, QUERY_KINDS, UNIT_SECONDS
from workflows.commands.training import train

WORKFLOWS: Final[Mapping[str, Callable[..., None]]] = {
    "extract": extract,
    "mine": mine,
    "evaluate": evaluate,
    "train": train,
}
NO_PART: Final[Mapping[str, str]] = {
    "address": "where a job runs is said when it is started: soundquarry run JOB.yaml --address ...",
    "show": "a job does something; print the recipe with soundquarry train RECIPE --show",
}
"""Options that are no part of a job, and what to do instead."""
NEEDED: Final[Mapping[str, frozenset[str]]] = {"train": frozenset({"recipe", "data", "out"})}
"""Options that a job must have, and its command need not: without them it lists, or shows, or says what is missing."""
ABOVE: Final = frozenset({"max_gpu_hours", "validation_share"})
"""Options whose lowest value is too low itself."""
BELOW: Final = frozenset({"validation_share"})
"""Options whose highest value is too high itself."""
KINDS: Final = {str: "text", float: "a number", int: "a whole number", bool: "true or false", Path: "a path"}


@dataclass(frozen=True)
class JobField:
    """One key of a job file: an option of the command, or its list of arguments."""

    name: str
    parameter: str
    """What the command's own function calls it."""
    kind: type
    many: bool
    required: bool
    default: Any
    about: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    above: bool = False
    """The lowest value is too low itself."""
    below: bool = False
    """The highest value is too high itself."""
    is_told_by_environment: bool = False
    """Where neither a job file nor a command line says it, a variable of the environment may."""

    def wrong(self, value: Any) -> str:
        """What is wrong with a value, and what it may be; nothing where it is right."""
        if value is None and not self.required and self.default is None:
            return ""
        if self.many:
            if not isinstance(value, list) or not value:
                return f"{self.name} is {value!r}: give a list, such as [{value if isinstance(value, str) else 'a'}]"
            return next((said for entry in value if (said := self._wrong_entry(entry))), "")
        return self._wrong_entry(value)

    def _wrong_entry(self, value: Any) -> str:
        said = f"{self.name} is {value!r}"
        if not _is_a(value, self.kind):
            quotes = ": put it in quotes" if self.kind is str and isinstance(value, (bool, int, float)) else ""
            return f"{said}; give {KINDS[self.kind]}{quotes}"
        if self.choices and value not in self.choices:
            return f"{said}; choose {', '.join(self.choices[:-1])} or {self.choices[-1]}"
        too_low = self.low is not None and (value < self.low or (self.above and value == self.low))
        too_high = self.high is not None and (value > self.high or (self.below and value == self.high))
        if too_low or too_high:
            least, most = f"{self.low or 0:g}", "" if self.high is None else f"{self.high:g}"
            return f"{said}; give " + _range(least, most, above=self.above)
        return ""


def fields_of(workflow: str) -> dict[str, JobField]:
    """The keys that a job of this workflow may have, in the order of the command's help."""
    command = WORKFLOWS[workflow]
    hints = get_type_hints(command, include_extras=True)
    fields = [
        _field(workflow, parameter, hints[name]) for name, parameter in inspect.signature(command).parameters.items()
    ]
    return {field.name: field for field in fields if field.name not in NO_PART}


def command_of(workflow: str) -> Any:
    """The workflow as a command that reads arguments."""
    app = typer.Typer(add_completion=False, rich_markup_mode="rich")
    app.command(workflow)(WORKFLOWS[workflow])
    return typer.main.get_command(app)


def _field(workflow: str, parameter: inspect.Parameter, hint: Any) -> JobField:
    kind, said = get_args(hint)[:2] if get_origin(hint) is Annotated else (hint, typer.models.OptionInfo())
    kind = next((arm for arm in get_args(kind) if arm is not type(None)), kind) if _is_optional(kind) else kind
    many = get_origin(kind) is list
    told = (said.default, *(said.param_decls or ()))  # within Annotated the first name of an option is its "default"
    long = next((name for name in told if isinstance(name, str) and name.startswith("--")), parameter.name)
    name = long.removeprefix("--").replace("-", "_")
    kind = get_args(kind)[0] if many else kind
    choices, low, high = _limits(workflow, name)
    return JobField(
        name=name,
        parameter=parameter.name,
        kind=kind,
        many=many,
        required=parameter.default is inspect.Parameter.empty or name in NEEDED.get(workflow, ()),
        default=None if parameter.default is inspect.Parameter.empty else parameter.default,
        about=said.help or "",
        choices=choices,
        low=low,
        high=high,
        above=name in ABOVE,
        below=name in BELOW,
        is_told_by_environment=getattr(said, "envvar", None) is not None,
    )


def _range(low: str, high: str, *, above: bool) -> str:
    if high:
        return f"a number between {low} and {high}" if above else f"a number from {low} to {high}"
    return f"more than {low}" if above else f"at least {low}"


def _limits(workflow: str, name: str) -> tuple[tuple[str, ...], float | None, float | None]:
    """What the value of an option may be, where that is written down: choices, lowest, highest."""
    match name:
        case "device":
            return DEVICES, None, None
        case "query":
            return QUERY_KINDS, None, None
        case "limit":
            return (), 1, None
        case "unit_seconds":
            return (), *UNIT_SECONDS
        case "workers" | "mixers":
            return (), FEWEST_WORKERS, None
        case "validation_share":
            return (), 0.0, 1.0
        case "max_gpu_hours":
            return (), 0.0, None
        case "metrics_port":
            return (), *PORTS
    from operators.settings import ExtractSettings, MineSettings

    settings = (MineSettings if workflow == "mine" else ExtractSettings).model_fields
    setting = settings.get(name) or settings.get(f"{name}_seconds")
    if setting is None:
        return (), None, None
    choices = get_args(setting.annotation) if get_origin(setting.annotation) is Literal else ()
    bounds = {
        bound: getattr(rule, bound) for rule in setting.metadata for bound in ("ge", "le") if hasattr(rule, bound)
    }
    return choices, bounds.get("ge"), bounds.get("le")


def _is_optional(kind: Any) -> bool:
    return type(None) in get_args(kind)


def _is_a(value: Any, kind: type) -> bool:
    """Whether YAML's value is of this kind: true is no number, and a number is no text."""
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is float:
        return isinstance(value, (int, float)) and math.isfinite(value)
    return isinstance(value, str if kind in (str, Path) else kind)
