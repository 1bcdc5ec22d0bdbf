"""What begins runs by the clock: the chart's schedules as `jobs list` shows them, with what runs of them."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from kuberay_operator import KubeRay
from kubernetes_api import KubernetesApi, Rule
from rayjob_template import rayjob_template
from submitted_jobs import job_in, service
from typer.testing import CliRunner

from workflows.cli import app
from workflows.jobs.job_file import JobFile
from workflows.jobs.job_service import JobError, Schedule

NIGHT = "2026-01-31T01:00:00Z"
ENDED = "2026-01-31T04:30:00Z"
RUNS_ONLY = [Rule(("ray.io",), ("rayjobs",), ("list",))]
"""The rights of somebody whose Role is older than the list of schedules."""
RUN = {"containers": [{"name": "submit", "image": "example.org/soundquarry:1"}], "restartPolicy": "Never"}


def labelled(name: str, release: str = "stems", chart: str = "soundquarry") -> dict[str, Any]:
    return {"name": name, "labels": {"app.kubernetes.io/name": chart, "app.kubernetes.io/instance": release}}


def cron_job(meta: dict[str, Any], *active: str, version: str = "batch/v1", **spec: Any) -> dict[str, Any]:
    """A CronJob that has begun these Jobs, which have not ended yet."""
    jobs = [{"apiVersion": "batch/v1", "kind": "Job", "name": name, "namespace": "media"} for name in active]
    return {
        "apiVersion": version, "kind": "CronJob", "metadata": meta,
        "spec": {"schedule": "0 2 * * *", "jobTemplate": {"spec": {"template": {"spec": RUN}}}, **spec},
        "status": {"active": jobs, "lastScheduleTime": NIGHT, "lastSuccessfulTime": ENDED} if active else {},
    }  # fmt: skip


def ray_cron_job(meta: dict[str, Any], **status: Any) -> dict[str, Any]:
    spec = {"schedule": "30 3 * * 7", "timeZone": "Etc/UTC", "jobTemplate": rayjob_template()["spec"]}
    return {"apiVersion": "ray.io/v1", "kind": "RayCronJob", "metadata": meta, "spec": spec, "status": status}


def begun_by(api: KubernetesApi, run: str, kind: str, name: str) -> None:
    """Let a run belong to what began it."""
    made = api.get("rayjobs", run)
    version = "ray.io/v1" if kind == "RayCronJob" else "batch/v1"
    made["metadata"]["ownerReferences"] = [{"apiVersion": version, "kind": kind, "name": name, "uid": f"of-{name}"}]
    api.put("rayjobs", made)


def listed(*options: str) -> tuple[str, str]:
    """What `jobs list` prints, and what it says beside."""
    done = CliRunner().invoke(app, ["jobs", "list", "--kubernetes", *options])
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


def test_a_cronjob_tells_when_it_began_when_it_succeeded_and_which_run_goes_on(
    api: KubernetesApi, job: JobFile
) -> None:
    service().submit(job, "stems-29500000-r", "join")
    begun_by(api, "stems-29500000-r", "Job", "stems-29500000")
    meta = labelled("stems-soundquarry")
    api.put("cronjobs", cron_job(meta, "stems-29500000", "stems-29501440", timeZone="Europe/Vienna", suspend=True))
    assert service().schedules() == (
        Schedule(
            "stems-soundquarry", "CronJob", "0 2 * * *", "Europe/Vienna", True,
            last_scheduled=datetime.fromisoformat(NIGHT), last_succeeded=datetime.fromisoformat(ENDED),
            active=("stems-29500000-r", "stems-29501440"),  # the second one has begun no run yet
        ),
    )  # fmt: skip


def test_a_raycronjob_is_told_by_the_runs_that_kuberay_began(
    api: KubernetesApi, kuberay: KubeRay, job: JobFile, tmp_path: Path
) -> None:
    api.put("raycronjobs", ray_cron_job(labelled("weekly"), lastScheduleTime=NIGHT))
    for number, end in enumerate(("2026-01-17T04:00:00Z", ENDED, None)):
        other = job_in(tmp_path / f"job{number}", out=f"s3://stems/{number}")
        name = service().submit(other, f"weekly-{number}", "join").name
        begun_by(api, name, "RayCronJob", "weekly")
        kuberay.runs(name)
        if end is not None:
            kuberay.ends(name, "SUCCEEDED")
            kuberay.status(name, rayJobInfo={"endTime": end})
    service().submit(job, "by-hand", "join")
    (schedule,) = service().schedules()
    assert (schedule.kind, schedule.cron, schedule.time_zone) == ("RayCronJob", "30 3 * * 7", "Etc/UTC")
    assert schedule.last_succeeded == datetime.fromisoformat(ENDED)
    assert schedule.active == ("weekly-2",)


def test_only_what_the_chart_installed_is_shown_and_of_one_release_where_that_is_asked(api: KubernetesApi) -> None:
    for meta in (labelled("stems"), labelled("music", "music"), labelled("backup", chart="backups")):
        api.put("cronjobs", cron_job(meta))
    assert [schedule.name for schedule in service().schedules()] == ["music", "stems"]
    assert [schedule.name for schedule in service(release="music").schedules()] == ["music"]
    assert ("admin", "list", "raycronjobs", "") in api.asked


def test_kinds_that_the_cluster_does_not_know_are_no_trouble(api: KubernetesApi) -> None:
    del api.versions["raycronjobs"]  # KubeRay without its feature gate
    api.put("cronjobs", cron_job(labelled("stems")))
    api.versions["cronjobs"] = "batch/v1beta1"  # Kubernetes below 1.21
    said: list[str] = []
    assert [schedule.name for schedule in service(said).schedules()] == ["stems"]
    assert said == []


def test_the_list_has_a_table_of_schedules_below_that_of_the_jobs(api: KubernetesApi, submitted: str) -> None:
    api.put("cronjobs", cron_job(labelled("stems-soundquarry"), "stems-29500000"))
    head, job, gap, schedules, line = listed()[0].splitlines()
    assert (head.split()[0], job.split()[0], gap) == ("NAME", submitted, "")
    assert re.split(" {2,}", schedules) == [
        "SCHEDULE", "KIND", "CRON", "TIME ZONE", "SUSPENDED", "LAST BEGUN", "LAST SUCCESS", "RUNS NOW",
    ]  # fmt: skip
    begun = datetime.fromisoformat(NIGHT).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    told = re.split(" {2,}", line)
    assert told[:6] == ["stems-soundquarry", "CronJob", "0 2 * * *", "the cluster's", "no", begun]
    assert told[7:] == ["stems-29500000"]


def test_in_json_every_line_says_of_which_kind_it_is(api: KubernetesApi, submitted: str) -> None:
    api.put("cronjobs", cron_job(labelled("stems-soundquarry")))
    api.put("raycronjobs", ray_cron_job(labelled("weekly")))
    lines = [json.loads(line) for line in listed("--json")[0].splitlines()]
    assert [(line["kind"], line["name"]) for line in lines] == [
        ("job", submitted), ("CronJob", "stems-soundquarry"), ("RayCronJob", "weekly"),
    ]  # fmt: skip
    assert lines[1] == {
        "kind": "CronJob", "name": "stems-soundquarry", "cron": "0 2 * * *", "time_zone": None, "suspended": False,
        "last_scheduled": None, "last_succeeded": None, "active": [],
    }  # fmt: skip


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["table", "json"])
def test_whoever_may_not_list_schedules_sees_the_jobs_and_is_told_what_to_ask_for(
    api: KubernetesApi, submitted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    api.put("cronjobs", cron_job(labelled("stems-soundquarry")))
    api.rights["ada"] = RUNS_ONLY
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "adas", "ada")))
    printed, said = listed(*options)
    assert submitted in printed
    assert "stems-soundquarry" not in printed
    for kind, resource in (("CronJob", "cronjobs.batch"), ("RayCronJob", "raycronjobs.ray.io")):
        assert f"schedules of kind {kind} are not shown: ada may not list {resource} in namespace media" in said


def test_another_refusal_than_of_a_right_is_not_passed_over(api: KubernetesApi) -> None:
    api.rights.clear()  # the token has expired
    with pytest.raises(JobError, match="the cluster does not know who you are"):
        service().schedules()
