"""The schema of a job file agrees with what `soundquarry run` takes and refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from workflows.jobs.job_fields import WORKFLOWS, fields_of
from workflows.jobs.job_file import JobFileError, read_job
from workflows.jobs.job_schema import job_schema

CHECK = jsonschema.Draft7Validator(job_schema())
LEAST: dict[str, dict[str, Any]] = {
    "extract": {"workflow": "extract", "sources": ["a"], "catalog": "everyday", "out": "o"},
    "mine": {"workflow": "mine", "sources": ["a"], "catalog": "everyday", "out": "o"},
    "evaluate": {"workflow": "evaluate", "list_csv": "a.csv", "root": "."},
    "train": {"workflow": "train", "recipe": "supervised", "data": ["synthesis"], "out": "o"},
}
RIGHT: list[dict[str, Any]] = [
    *LEAST.values(),
    LEAST["extract"] | {"threshold": 0, "no_gate": True, "device": "cuda", "workers": 4, "unit_seconds": 30.5},
    LEAST["extract"] | {"threshold": None, "workers": None},
    LEAST["extract"] | {"max_gpu_hours": 0.01, "metrics_port": 65_535},
    LEAST["mine"] | {"padding": 5, "max_event_seconds": 40, "ucs_list": "ucs.csv"},
    LEAST["evaluate"] | {"bss": True, "unseen": "labels.txt"},
    LEAST["train"] | {"set": ["mixtures.batch=8"], "validation": ["a"], "held_out": "labels.txt", "workers": 2},
    LEAST["train"] | {"set": None, "validation": None, "held_out": None, "validation_share": 0.5, "mixers": 3},
]
WRONG: list[dict[str, Any]] = [
    LEAST["extract"] | change
    for change in (
        {"thresold": 0.4},
        {"threshold": 2},
        {"threshold": "0.4"},
        {"threshold": True},
        {"sources": "a"},
        {"sources": []},
        {"sources": [3]},
        {"out": None},
        {"out": 3},
        {"model": None},
        {"device": "tpu"},
        {"workers": 0},
        {"workers": 1.5},
        {"unit_seconds": 601},
        {"max_gpu_hours": 0},
        {"max_gpu_hours": -1},
        {"metrics_port": 0},
        {"metrics_port": 65_536},
        {"no_gate": "yes"},
        {"no_gate": 1},
        {"workflow": "train"},
        {"workflow": "separate"},
        {"workflow": "mine", "no_gate": True},
        {"workflow": None},
        {"address": "auto"},
    )
] + [
    LEAST["train"] | change
    for change in (
        {"catalog": "everyday"},
        {"recipe": None},
        {"data": []},
        {"data": "synthesis"},
        {"set": [1]},
        {"validation_share": 0},
        {"validation_share": 1},
        {"mixers": 0},
        {"workers": None},
        {"show": True},
        {"metrics_port": 8099},
    )
]


def taken(job: dict[str, Any], tmp_path: Path) -> bool:
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(job))
    try:
        read_job(path)
    except JobFileError:
        return False
    return True


@pytest.mark.parametrize("job", RIGHT, ids=str)
def test_what_the_schema_takes_is_taken(job: dict[str, Any], tmp_path: Path) -> None:
    assert CHECK.is_valid(job)
    assert taken(job, tmp_path)


@pytest.mark.parametrize("job", WRONG, ids=str)
def test_what_the_schema_refuses_is_refused(job: dict[str, Any], tmp_path: Path) -> None:
    assert not CHECK.is_valid(job)
    assert not taken(job, tmp_path)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_no_required_key_can_be_left_out(workflow: str) -> None:
    required = [name for name, field in fields_of(workflow).items() if field.required]
    assert sorted(required) == sorted(set(LEAST[workflow]) - {"workflow"})
    for name in (*required, "workflow"):
        assert not CHECK.is_valid({key: value for key, value in LEAST[workflow].items() if key != name})


def test_it_is_a_schema_itself_and_says_what_every_key_is_for() -> None:
    jsonschema.Draft7Validator.check_schema(job_schema())
    for rule in job_schema()["allOf"]:
        assert all(key["description"] for key in rule["then"]["properties"].values())


def test_a_wrong_value_is_told_by_its_key_alone() -> None:
    (error,) = CHECK.iter_errors(LEAST["extract"] | {"threshold": 2})
    assert list(error.absolute_path) == ["threshold"]
    assert "2 is greater than the maximum of 1" in error.message


def test_it_is_written_as_a_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "workflows.jobs.job_schema"]
    subprocess.run([*command, str(tmp_path / "schema.json")], check=True)
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert (tmp_path / "schema.json").read_text() == printed
    assert json.loads(printed) == json.loads(json.dumps(job_schema()))
