"""The job among the values is the program's job file: refused where the program refuses it, read where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from rendered_chart import EXAMPLES, JOB, ONCE, TRAINING, merged, refusal, rendered

from workflows.chart_schema import SCHEMA, with_job
from workflows.jobs.job_file import read_job


def test_the_schema_holds_the_programs_own() -> None:
    text = SCHEMA.read_text(encoding="utf-8")
    assert text == with_job(text), "run python -m workflows.chart_schema"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_program_reads_the_job_of_every_example(example: Path, tmp_path: Path) -> None:
    values = yaml.safe_load(example.read_text(encoding="utf-8"))
    for name, text in rendered(values).one("ConfigMap", "-job")["data"].items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    job = read_job(tmp_path / "job.yaml")
    assert (job.workflow, job.options["out"]) == (values["job"]["workflow"], values["job"]["out"])
    if job.workflow == "train":
        assert job.recipe is not None
        assert job.recipe.written["about"] == values["recipe"]["about"]
    else:
        assert job.catalog is not None
        assert job.catalog.queries


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"treshold": 0.4}, "job: Additional property treshold is not allowed"),
        ({"threshold": 4}, "job.threshold: Must be less than or equal to 1"),
        ({"sources": "s3://archive"}, "job.sources: Invalid type. Expected: array, given: string"),
        ({"sources": []}, "job.sources: Array must have at least 1 items"),
        ({"out": None}, "job.out: Invalid type. Expected: string, given: null"),
        ({"device": "gpu"}, 'job.device: job.device must be one of the following: "auto", "cpu", "cuda"'),
        ({"padding": 1}, "job: Additional property padding is not allowed"),  # of `mine`
    ],
)
def test_a_wrong_option_of_the_job_is_refused_before_anything_is_installed(change: dict[str, Any], words: str) -> None:
    assert f"- {words}\n" in refusal(merged(ONCE, {"job": {**JOB, **change}}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"catalog": "everyday"}, "job: Additional property catalog is not allowed"),
        ({"recipe": None}, "job.recipe: Invalid type. Expected: string, given: null"),
        ({"data": []}, "job.data: Array must have at least 1 items"),
        ({"workers": 0}, "job.workers: Must be greater than or equal to 1"),
        ({"validation_share": 1}, "job.validation_share: Must be less than 1"),
        ({"set": "mixtures.batch=8"}, "job.set: Invalid type. Expected: [array,null], given: string"),
        ({"show": True}, "job: Additional property show is not allowed"),
        ({"metrics_port": 8099}, "job: Additional property metrics_port is not allowed"),  # nobody listens there
    ],
)
def test_a_wrong_option_of_a_training_is_refused(change: dict[str, Any], words: str) -> None:
    values = {"mode": "once", "job": {**TRAINING, **change}}
    assert f"- {words}\n" in refusal(values)


@pytest.mark.parametrize("name", ["recipe", "data", "out"])
def test_a_training_says_what_it_learns_of_what_and_where_it_writes(name: str) -> None:
    job = {key: value for key, value in TRAINING.items() if key != name}
    assert f"job: {name} is required" in refusal({"mode": "once", "job": job})
