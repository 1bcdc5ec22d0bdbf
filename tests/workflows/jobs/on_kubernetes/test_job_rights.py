"""What the API server must allow, and no more: to a schedule, and to a person."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from documented_role import documented_rights, documented_role
from kuberay_operator import KubeRay
from kubernetes_api import KubernetesApi, Refusal, Rule
from submitted_jobs import Follower, job_in, play_the_cancelling, service

from workflows.jobs.job_file import JobFile
from workflows.jobs.job_service import JobError, Submitted

SCHEDULED = [
    Rule(("",), ("configmaps",), ("get",), ("stems-soundquarry-template", "stems-soundquarry-job")),
    Rule(("ray.io",), ("rayjobs",), ("create", "get", "list", "watch")),
    Rule(("",), ("pods", "events"), ("list",)),
    Rule(("",), ("pods/log",), ("get",)),
]
"""What the service account of a scheduled run may do."""


def test_a_scheduled_run_needs_these_rights_and_no_more(
    api: KubernetesApi, kuberay: KubeRay, job: JobFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tmp_path / "job", tmp_path / "mounted")
    files = {path.name: path.read_text() for path in (tmp_path / "mounted").iterdir()}
    api.put("configmaps", {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stems-soundquarry-job"}, "data": files,
    })  # fmt: skip
    user = "system:serviceaccount:media:stems-submit"
    api.rights[user] = SCHEDULED
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "in-pod", user)))
    monkeypatch.setenv("SOUNDQUARRY_TEMPLATE", "stems-soundquarry-template")
    assert service(release="stems").submit(job, "nightly-1", "skip") == Submitted("nightly-1")
    follower = Follower("nightly-1")
    follower.hears("waiting for KubeRay to take the job")
    pod = kuberay.runs("nightly-1")
    api.say(pod, "3 of 9 units")
    follower.reads("3 of 9 units")
    kuberay.ends("nightly-1", "SUCCEEDED")
    assert follower.ends() == 0
    used = {(verb, resource) for who, verb, resource, _ in api.asked if who == user}
    given = {(verb, resource) for rule in SCHEDULED for resource in rule.resources for verb in rule.verbs}
    assert used == given
    with pytest.raises(JobError, match="service account stems-submit of namespace media may not patch"):
        service().submit(job, "nightly-2", "skip")
        service().cancel("nightly-2")


def test_a_person_needs_the_documented_role_and_no_more(
    api: KubernetesApi, kuberay: KubeRay, job: JobFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.rights["ada"] = [
        Rule(*(tuple(rule[name]) for name in ("apiGroups", "resources", "verbs")))
        for rule in documented_role()["rules"]
    ]
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "adas", "ada")))
    name = service().submit(job, None, "join").name
    assert service().submit(job, None, "join").joined
    service().cancel(name)  # nothing was begun yet
    pod = kuberay.runs(service().submit(job, "talks", "join").name)
    follower = Follower("talks")
    api.say(pod, "3 of 9 units")
    follower.reads("3 of 9 units")
    assert [state.name for state in service().list()] == ["talks"]
    assert service().schedules() == ()
    kuberay.status("talks", startTime="2026-01-31T09:00:00Z")
    threading.Thread(target=lambda: play_the_cancelling(kuberay, "talks"), daemon=True).start()
    service().cancel("talks")
    assert follower.ends() == 130
    kuberay.takes(service().submit(job_in(tmp_path / "other", out="s3://stems/other"), "waits", "join").name)
    assert service().status("waits").state == "pending"  # asks for events
    quota = Refusal(403, "exceeded quota: runs, requested: count/rayjobs.ray.io=1, used: 1, limited: 1", "Forbidden")
    api.refusals.append(("create", "rayjobs", quota))
    with pytest.raises(JobError, match="the quota runs"):  # takes its files back
        service().submit(job_in(tmp_path / "more", out="s3://stems/more"), "more", "join")
    used = {(verb, resource) for who, verb, resource, _ in api.asked if who == "ada"}
    assert used == {(verb, resource) for verb, _, resource in documented_rights()}
