"""Custom resources, checked as an API server checks them, and stricter: a field that is not in the schema is a problem.

A server prunes such a field without a word; a manifest with a slip of the pen would be taken and do something else.
KubeRay's definitions are not part of this repository: they are read from `../shared` or `$SOUNDQUARRY_SHARED`.

    problems = kuberay("RayJob").problems(manifest)     # [] where all is well
"""

from __future__ import annotations

import copy
import functools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import celpy
import kubernetes_validate
import pytest
import yaml
from object_meta import meta_problems

CRDS: Final = Path("facts/kuberay-crds/kuberay-v1.7.0")
TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
BITS: Final = {"int32": 31, "int64": 63}
SIZES: Final = {
    "minLength": "maxLength",
    "minItems": "maxItems",
    "minProperties": "maxProperties",
}
SAYS_NOTHING: Final = frozenset(
    {"description", "title", "example", "externalDocs", "x-kubernetes-map-type", "x-kubernetes-embedded-resource"}
)
UNDERSTOOD: Final = SAYS_NOTHING | {
    *("type", "nullable", "default", "format", "enum", "pattern", "minimum", "maximum"),
    *("properties", "additionalProperties", "required", "items", *SIZES, *SIZES.values()),
    *("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
}
INT_OR_STRING: Final = [{"type": "integer"}, {"type": "string"}]
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class CustomResource:
    """One version of a custom resource, by its structural schema."""

    group: str
    version: str
    kind: str
    plural: str
    schema: Schema

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}"

    def defaulted(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """The manifest with the schema's defaults, as a server stores it."""
        filled = copy.deepcopy(dict(manifest))
        _fill(self.schema, filled)
        return filled

    def problems(self, manifest: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> list[str]:
        """Everything that is wrong, each with its path. `before`: the stored object, where this one replaces it."""
        found = []
        if (manifest.get("apiVersion"), manifest.get("kind")) != (self.api_version, self.kind):
            found.append(f"apiVersion and kind: not {self.api_version} {self.kind}")
        meta = manifest.get("metadata", {})
        try:
            core = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
            kubernetes_validate.validate(core, kubernetes_validate.latest_version(), strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"metadata: {str(error).splitlines()[0]}")
        else:
            found += meta_problems(meta)
        return found + list(_problems(self.schema, self.defaulted(manifest), before, ""))

    def check(self, manifest: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> None:
        """Raises AssertionError with every problem."""
        found = self.problems(manifest, before)
        assert not found, f"{self.kind}: " + "; ".join(found)


def shared() -> Path:
    """The folder of what is shared between projects; it need not be there."""
    told = os.environ.get("SOUNDQUARRY_SHARED")
    return Path(told) if told else Path(__file__).parents[2] / "shared"


@functools.cache
def kuberay(kind: str, version: str = "v1") -> CustomResource:
    """RayJob, RayCluster or RayCronJob of KubeRay. Where the definitions are missing the test is skipped, loudly; with
    CI set it fails instead."""
    path = shared() / CRDS / f"ray.io_{kind.lower()}s.yaml"
    if not path.is_file():
        absent = f"{path} is not here: set SOUNDQUARRY_SHARED to the folder that holds {CRDS}"
        if os.environ.get("CI"):
            pytest.fail(absent)
        pytest.skip(absent)
    return custom_resource(path.read_text(encoding="utf-8"), version)


def custom_resource(definition: str, version: str = "v1") -> CustomResource:
    """The resource of a CustomResourceDefinition in YAML; ValueError for a keyword that is not understood here."""
    spec = yaml.load(definition, getattr(yaml, "CSafeLoader", yaml.SafeLoader))["spec"]
    (schema,) = (one["schema"]["openAPIV3Schema"] for one in spec["versions"] if one["name"] == version)
    _check_understood(schema, spec["names"]["kind"])
    return CustomResource(spec["group"], version, spec["names"]["kind"], spec["names"]["plural"], schema)


def _check_understood(schema: Schema, path: str) -> None:
    unknown = schema.keys() - UNDERSTOOD
    if schema.get("x-kubernetes-int-or-string") and schema.get("anyOf") == INT_OR_STRING:
        unknown -= {"anyOf"}
    unknown |= {key for rule in schema.get("x-kubernetes-validations", []) for key in rule.keys() - {"rule", "message"}}
    if unknown:
        raise ValueError(f"{path}: {sorted(unknown)} in the schema is not understood; add it to tests/crd_schema.py")
    for name, child in schema.get("properties", {}).items():
        _check_understood(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            _check_understood(schema[key], f"{path}[]")


def _fill(schema: Schema, value: Any) -> None:
    """Put the defaults in, in place."""
    if isinstance(value, dict):
        for name, child in schema.get("properties", {}).items():
            if "default" in child and name not in value:
                value[name] = copy.deepcopy(child["default"])
            if name in value:
                _fill(child, value[name])
        if isinstance(other := schema.get("additionalProperties"), dict):
            for name in value.keys() - schema.get("properties", {}).keys():
                _fill(other, value[name])
    elif isinstance(value, list):
        for item in value:
            _fill(schema.get("items", {}), item)


def _problems(schema: Schema, value: Any, before: Any, path: str) -> Iterator[str]:
    """What is wrong at a path and below it."""
    where = path or "the object"
    if value is None:
        if not schema.get("nullable"):
            yield f"{where}: null is not allowed"
        return
    if not _has_type(schema, value):
        wanted = "integer or string" if schema.get("x-kubernetes-int-or-string") else schema["type"]
        yield f"{where}: {value!r} is no {wanted}"
        return
    yield from (f"{where}: {problem}" for problem in _value_problems(schema, value))
    yield from (f"{where}: {problem}" for problem in _rule_problems(schema, value, before))
    if isinstance(value, dict):
        yield from _object_problems(schema, value, before, path)
    elif isinstance(value, list):
        yield from _list_problems(schema, value, before, path)


def _has_type(schema: Schema, value: Any) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        types: tuple[type, ...] = (int, str)
    elif "type" in schema:
        types = TYPES[schema["type"]]
    else:
        return True  # only with x-kubernetes-preserve-unknown-fields
    return isinstance(value, types) and (not isinstance(value, bool) or types == (bool,))


def _value_problems(schema: Schema, value: Any) -> Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f"{value!r} is not one of {schema['enum']}"
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{value!r} does not match {schema['pattern']}"
        if schema.get("format") == "date-time" and not _is_time(value):
            yield f"{value!r} is no time such as 2026-01-31T09:00:00Z"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if value < schema.get("minimum", value):
            yield f"{value} is less than {schema['minimum']}"
        if value > schema.get("maximum", value):
            yield f"{value} is more than {schema['maximum']}"
        bits = BITS.get(schema.get("format", ""))
        if bits and not -(2**bits) <= value < 2**bits:
            yield f"{value} does not fit in {schema['format']}"
    for least, most in SIZES.items():
        if least in schema and len(value) < schema[least]:
            yield f"{least} is {schema[least]}, found {len(value)}"
        if most in schema and len(value) > schema[most]:
            yield f"{most} is {schema[most]}, found {len(value)}"


def _is_time(text: str) -> bool:
    try:
        return "T" in text and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _rule_problems(schema: Schema, value: Any, before: Any) -> Iterator[str]:
    """Rules in CEL. One that names `oldSelf` speaks of changes, and holds where there was nothing before."""
    for rule in schema.get("x-kubernetes-validations", []):
        if "oldSelf" in rule["rule"] and before is None:
            continue
        facts = {"self": celpy.json_to_cel(value), "oldSelf": celpy.json_to_cel(before)}
        try:
            holds = _program(rule["rule"]).evaluate(facts)
        except celpy.CELEvalError as error:
            yield f"{rule['rule']} cannot be evaluated: {error}"
        else:
            if not holds:
                yield rule.get("message", f"failed rule: {rule['rule']}")


@functools.cache
def _program(rule: str) -> Any:
    environment = celpy.Environment()
    return environment.program(environment.compile(rule))


def _object_problems(schema: Schema, value: dict[str, Any], before: Any, path: str) -> Iterator[str]:
    start = f"{path}." if path else ""
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    free = schema.get("x-kubernetes-preserve-unknown-fields") or others is True or path == "metadata"
    for name in schema.get("required", []):
        if name not in value:
            yield f"{start}{name} is required"
    for name, child in value.items():
        child_schema = properties.get(name, others if isinstance(others, dict) else None)
        child_before = before.get(name) if isinstance(before, dict) else None
        if child_schema is not None:
            yield from _problems(child_schema, child, child_before, start + name)
        elif not free:
            yield f"{start}{name}: unknown field"
    if path.endswith(".metadata"):  # of a pod template or a claim: no server looks at it before the pod is made
        yield from meta_problems(value, path, named=False)


def _list_problems(schema: Schema, value: list[Any], before: Any, path: str) -> Iterator[str]:
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys", [])
    earlier = {_key(item, keys): item for item in before or []} if kind == "map" else {}
    seen = []
    for at, item in enumerate(value):
        key = _key(item, keys) if kind == "map" else item
        if kind in ("map", "set"):
            if key in seen:
                yield f"{path}[{at}]: {key!r} is there already"
            seen.append(key)
        item_before = earlier.get(key) if kind == "map" else None
        yield from _problems(schema.get("items", {}), item, item_before, f"{path}[{at}]")


def _key(item: Any, keys: list[str]) -> tuple[Any, ...]:
    return tuple(item.get(key) for key in keys) if isinstance(item, dict) else (item,)
