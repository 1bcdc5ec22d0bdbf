"""What `soundquarry submit` makes of the chart's template: a RayJob of another name that servers take."""

from __future__ import annotations

import pytest
from kuberay_rules import operator_problems
from rendered_chart import NIGHTLY, ONCE, merged, problems, rendered
from typer.testing import CliRunner

from workflows.cli import app
from workflows.jobs.on_kubernetes.rayjob_manifest import rayjob, template_of
from workflows.jobs.on_kubernetes.rayjob_state import is_ours, label

NAME = "talks-soundquarry-29400480-r"


@pytest.mark.parametrize("values", [{}, ONCE, NIGHTLY])
def test_a_submitted_run_is_taken_by_server_and_operator(values: dict[str, object]) -> None:
    template = template_of(rendered(values).one("ConfigMap", "-template"))
    assert (template.release, template.job_map) == ("talks", "talks-soundquarry-job")
    run = rayjob(template, NAME, "media", "mine", "0123456789", "other-job")
    assert problems(run) + operator_problems(run) == []
    assert is_ours(run)
    assert label(run, "soundquarry.dev/workflow") == "mine"
    assert "talks-soundquarry-job" not in str(run["spec"])


def test_only_the_charts_own_run_tells_the_pushgateway_of_its_success_as_the_charts() -> None:
    template = template_of(rendered(NIGHTLY).one("ConfigMap", "-template"))
    for job_map, told in (("talks-soundquarry-job", "talks-soundquarry"), ("other-job", "talks-soundquarry-adhoc")):
        run = rayjob(template, NAME, "media", "mine", "0123456789", job_map)
        (head,) = run["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"]
        assert {"name": "SOUNDQUARRY_METRICS_JOB", "value": told} in head["env"]
    assert "-adhoc" not in str(template.manifest)


def test_the_runs_of_a_raycronjob_are_known_as_ours_though_kuberay_labels_them() -> None:
    cron = rendered(merged(NIGHTLY, {"schedule": {"kind": "RayCronJob"}})).one("RayCronJob")
    made = {"kind": "RayJob", "metadata": {"name": "talks-29400480", "labels": {"ray.io/cronjob-name": "talks"}}}
    run = {**made, "spec": cron["spec"]["jobTemplate"]}
    assert is_ours(run)
    assert label(run, "soundquarry.dev/workflow") == "extract"
    assert label(run, "app.kubernetes.io/instance") == "talks"


def test_the_command_of_the_scheduled_pod_is_one_that_the_program_knows() -> None:
    (container,) = rendered(NIGHTLY).pods["schedule"]["spec"]["containers"]
    command, *arguments = container["args"]
    said = CliRunner().invoke(app, [command, "--help"]).output
    options = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
    assert options
    for option in options:
        assert option in said, option
