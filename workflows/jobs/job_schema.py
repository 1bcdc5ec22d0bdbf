"""Writes the JSON schema of a job file: `python -m workflows.jobs.job_schema [FILE]`.

The chart's `values.schema.json` holds it under `$defs/job`, so that a wrong job is refused before it is installed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from workflows.jobs.job_fields import WORKFLOWS, JobField, fields_of

TYPES: Final = {str: "string", Path: "string", float: "number", int: "integer", bool: "boolean"}


def job_schema() -> dict[str, Any]:
    """One schema per workflow, chosen by `workflow`; a key that this workflow does not know is refused.

    `if` and `then` instead of `oneOf`: what is wrong is then said about the key, not about three schemas at once.
    """
    return {
        "description": "A job file: a workflow and its options, as `soundquarry run` takes it.",
        "type": "object",
        "required": ["workflow"],
        "properties": {"workflow": {"enum": list(WORKFLOWS)}},
        "allOf": [
            {
                "if": {"required": ["workflow"], "properties": {"workflow": {"const": workflow}}},
                "then": _of_workflow(workflow),
            }
            for workflow in WORKFLOWS
        ],
    }


def _of_workflow(workflow: str) -> dict[str, Any]:
    fields = fields_of(workflow)
    return {
        "additionalProperties": False,
        "required": [name for name, field in fields.items() if field.required],
        "properties": {
            "workflow": {"description": "what the job does"},
            **{name: _of_field(field) for name, field in fields.items()},
        },
    }


def _of_field(field: JobField) -> dict[str, Any]:
    """The schema of one key: its type, what it may be, what it is for."""
    said: dict[str, Any] = {"type": TYPES[field.kind]}
    if field.choices:
        said["enum"] = list(field.choices)
    if field.low is not None:
        said["exclusiveMinimum" if field.above else "minimum"] = field.low
    if field.high is not None:
        said["exclusiveMaximum" if field.below else "maximum"] = field.high
    if field.many:
        said = {"type": "array", "minItems": 1, "items": said}
    if not field.required and field.default is None:
        said["type"] = [said["type"], "null"]
    if field.default is not None:
        said["default"] = field.default
    return {"description": field.about, **said}


def schema_text() -> str:
    """The schema as the file holds it."""
    return json.dumps(job_schema(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the schema to the file that is named, or print it."""
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(schema_text(), encoding="utf-8")
    else:
        print(schema_text(), end="")


if __name__ == "__main__":
    main()
