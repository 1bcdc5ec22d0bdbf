"""The keys of a job file are the options of the commands, and their limits those of the settings."""

from __future__ import annotations

import inspect

import pytest

from operators.settings import MineSettings
from workflows.jobs.job_fields import WORKFLOWS, fields_of


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_every_parameter_of_the_command_is_a_key_but_what_is_no_part_of_a_job(workflow: str) -> None:
    parameters = set(inspect.signature(WORKFLOWS[workflow]).parameters)
    assert {field.parameter for field in fields_of(workflow).values()} == parameters - {"address", "show"}
    assert all(field.about for field in fields_of(workflow).values())


def test_keys_are_named_like_the_options() -> None:
    assert {"sources", "catalog", "no_gate", "json", "unit_seconds"} <= set(fields_of("extract"))
    assert {"list_csv", "root"} <= set(fields_of("evaluate"))
    assert {"recipe", "data", "set", "held_out", "without_licence"} <= set(fields_of("train"))


def test_a_job_must_say_what_its_command_may_leave_out() -> None:
    required = {name for name, field in fields_of("train").items() if field.required}
    assert required == {"recipe", "data", "out"}


def test_limits_are_those_of_the_settings() -> None:
    fields, settings = fields_of("mine"), MineSettings.model_fields
    for name in ("threshold", "max_event_seconds", "padding"):
        low, high = (settings.get(name) or settings[f"{name}_seconds"]).metadata
        assert (fields[name].low, fields[name].high) == (low.ge, high.le)
    assert fields["rate"].choices == ("model", "source")
    assert fields["device"].choices == ("auto", "cpu", "cuda")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("threshold", 2, "threshold is 2; give a number from 0 to 1"),
        ("threshold", "0.4", "threshold is '0.4'; give a number"),
        ("threshold", True, "threshold is True; give a number"),
        ("threshold", float("nan"), "threshold is nan; give a number"),
        ("workers", 0, "workers is 0; give at least 1"),
        ("max_gpu_hours", 0, "max_gpu_hours is 0; give more than 0"),
        ("metrics_port", 70_000, "metrics_port is 70000; give a number from 1 to 65535"),
        ("workers", 1.5, "workers is 1.5; give a whole number"),
        ("no_gate", "yes", "no_gate is 'yes'; give true or false"),
        ("out", 3, "out is 3; give text: put it in quotes"),
        ("out", None, "out is None; give text"),
        ("rate", "fast", "rate is 'fast'; choose model or source"),
        ("device", "tpu", "device is 'tpu'; choose auto, cpu or cuda"),
        ("sources", "a.wav", "sources is 'a.wav': give a list, such as [a.wav]"),
        ("sources", [], "sources is []: give a list, such as [a]"),
        ("sources", ["a", 3], "sources is 3; give text: put it in quotes"),
    ],
)
def test_a_wrong_value_is_told_with_what_it_may_be(name: str, value: object, said: str) -> None:
    assert fields_of("extract")[name].wrong(value) == said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("validation_share", 0, "validation_share is 0; give a number between 0 and 1"),
        ("validation_share", 1.0, "validation_share is 1.0; give a number between 0 and 1"),
        ("mixers", 0, "mixers is 0; give at least 1"),
        ("set", "mixtures.batch=8", "set is 'mixtures.batch=8': give a list, such as [mixtures.batch=8]"),
        ("recipe", None, "recipe is None; give text"),
        ("data", None, "data is None: give a list, such as [a]"),
        ("validation", None, ""),
        ("validation_share", 0.5, ""),
    ],
)
def test_a_wrong_value_of_a_training_is_told_with_what_it_may_be(name: str, value: object, said: str) -> None:
    assert fields_of("train")[name].wrong(value) == said


@pytest.mark.parametrize(("name", "value"), [("threshold", 0), ("threshold", None), ("workers", 3), ("sources", ["a"])])
def test_a_right_value_is_not_remarked_on(name: str, value: object) -> None:
    assert fields_of("extract")[name].wrong(value) == ""
