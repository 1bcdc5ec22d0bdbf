"""Runs by the clock, with the real controllers: a CronJob's Job, its pod that submits and waits, the run it begins."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
from control_plane import ControlPlane
from helm_release import Release, everything
from kubernetes_work import log_of, outcome, pod_of, started_by
from made_media import RATE, chirp, encode
from server_api import Api, Object, RefusedError, awaited
from soundquarry_command import soundquarry
from tiny_kubelet import TinyKubelet
from tiny_kuberay import RAY, TinyKubeRay

pytestmark = pytest.mark.kubernetes

NEVER: Final = "59 23 29 2 *"
"""Jobs are made by hand, as the CronJob would make them."""
TICK: Final = "talks-soundquarry-29400000"
"""Such a Job: the minutes since 1970 stand behind the CronJob's name."""


def nightly(folder: Path, cron: str = NEVER, **schedule: Any) -> dict[str, Any]:
    """Values of a schedule that extracts from a folder of this machine."""
    return {
        "mode": "scheduled",
        "schedule": {"cron": cron, **schedule},
        "job": {"workflow": "extract", "sources": ["/archive"], "catalog": "everyday", "out": "/stems"},
        "volumes": [
            {"name": "archive", "hostPath": {"path": str(folder / "archive")}},
            {"name": "stems", "hostPath": {"path": str(folder / "stems")}},
        ],
        "volumeMounts": [{"name": "archive", "mountPath": "/archive"}, {"name": "stems", "mountPath": "/stems"}],
        "run": {"backoffLimit": 0},
    }


@pytest.fixture
def release(plane: ControlPlane, namespace: str, kubelet: TinyKubelet, kuberay: TinyKubeRay) -> Release:
    """A release to install. Its runs wait until KubeRay serves the namespace."""
    return Release(plane, namespace)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("archive", "stems"):
        (tmp_path / name).mkdir()
    return tmp_path


def tick(release: Release, name: str = TICK) -> None:
    """The minute of the schedule comes."""
    started_by(release.api, release.get(cron_jobs(release.api), "CronJob"), name)


def cron_jobs(api: Api) -> str:
    """The version that CronJobs have on this server."""
    kinds = {one["kind"] for one in api.call("GET", "/apis/batch/v1")["resources"]}
    return "batch/v1" if "CronJob" in kinds else "batch/v1beta1"


@pytest.mark.timeout(500)
def test_a_tick_ends_in_stems(release: Release, folder: Path, kuberay: TinyKubeRay, kubelet: TinyKubelet) -> None:
    encode(folder / "archive" / "talk.wav", chirp(RATE, 3.0), RATE)
    release.install(nightly(folder))
    kuberay.served.add(release.namespace)
    tick(release)
    try:
        assert outcome(release.api, TICK, release.namespace, 400) == "Complete"
    except AssertionError as error:
        troubles = "\n".join([*kuberay.troubles, *kubelet.troubles])
        raise AssertionError(f"{error}\n{troubles}\n{story(release)}") from error
    assert sorted((folder / "stems").rglob("*.parquet"))
    (run,) = runs(release)
    assert run["status"]["jobStatus"] == "SUCCEEDED"
    assert run["metadata"]["ownerReferences"][0]["name"] == TICK


def test_the_schedule_is_listed(plane: ControlPlane, release: Release, folder: Path) -> None:
    release.install(nightly(folder))
    done = soundquarry(plane, release.namespace, "jobs", "list", "--json")
    assert done.returncode == 0, done.stderr
    assert "not shown" not in done.stderr
    (line,) = map(json.loads, done.stdout.splitlines())
    told = [line[name] for name in ("kind", "name", "cron", "suspended", "last_scheduled", "active")]
    assert told == ["CronJob", release.fullname, NEVER, False, None, []]


def test_while_a_run_is_under_way_another_tick_says_so_and_leaves(release: Release, folder: Path) -> None:
    release.install(nightly(folder))
    tick(release)
    awaited(lambda: runs(release), "the first run")
    tick(release, "talks-soundquarry-29400001")
    assert outcome(release.api, "talks-soundquarry-29400001", release.namespace) == "Complete"
    assert "skipped" in log_of(release.api, "talks-soundquarry-29400001", release.namespace)
    assert len(runs(release)) == 1


def test_a_pod_that_is_lost_is_followed_by_one_that_joins_its_run(
    release: Release, folder: Path, kuberay: TinyKubeRay
) -> None:
    release.install(nightly(folder))
    tick(release)
    awaited(lambda: runs(release), "the run")
    first = pod_of(release.api, TICK, release.namespace)["metadata"]
    release.api.delete("v1", "Pod", first["name"], release.namespace)
    awaited(lambda: pod_of(release.api, TICK, release.namespace)["metadata"]["uid"] != first["uid"], "a second pod")
    awaited(lambda: "already runs" in log_of(release.api, TICK, release.namespace), "a pod that joins")
    assert len(runs(release)) == 1


def test_a_run_that_fails_fails_its_tick_with_the_same_exit_code(
    release: Release, folder: Path, kuberay: TinyKubeRay
) -> None:
    (folder / "stems").rmdir()
    (folder / "stems").write_text("nothing can be written below a file", encoding="utf-8")
    release.install(nightly(folder))
    kuberay.served.add(release.namespace)
    tick(release)
    assert outcome(release.api, TICK, release.namespace, 120) == "Failed"
    ended = pod_of(release.api, TICK, release.namespace)["status"]["containerStatuses"][0]["state"]["terminated"]
    (run,) = runs(release)
    assert f"exit code {ended['exitCode']}" in run["status"]["message"]


@pytest.mark.timeout(400)
def test_forbid_holds_while_a_run_lives(release: Release, folder: Path) -> None:
    release.install(nightly(folder, cron="* * * * *"))
    awaited(lambda: runs(release), "a run at the full minute", 90)
    awaited(lambda: _reasons(release) & {"JobAlreadyActive"}, "a tick that finds a run", 90)
    assert len(runs(release)) == 1
    assert len(release.api.list("batch/v1", "Job", release.namespace)) == 1


def test_removing_the_release_removes_its_runs(release: Release, folder: Path) -> None:
    before = everything(release.api, release.namespace)
    release.install(nightly(folder))
    tick(release)
    awaited(lambda: runs(release), "the run")
    release.uninstall()
    awaited(lambda: everything(release.api, release.namespace) == before, "nothing left")
    assert runs(release) == []


def runs(release: Release) -> list[Object]:
    return release.api.list(RAY, "RayJob", release.namespace)


def story(release: Release) -> str:
    """What every pod printed and how every RayJob stands, for the message of a test that fails."""
    told = [f"{run['metadata']['name']}: {run.get('status')}" for run in runs(release)]
    for pod in release.api.list("v1", "Pod", release.namespace):
        name, status = pod["metadata"]["name"], pod.get("status", {})
        told.append(f"--- {name}: {status.get('phase')}")
        with suppress(RefusedError):
            told.append(str(release.api.call("GET", release.api.path("v1", "Pod", release.namespace, name) + "/log")))
    return "\n".join(told)


def _reasons(release: Release) -> set[str]:
    events = release.api.list("v1", "Event", release.namespace)
    return {event["reason"] for event in events}
