"""`soundquarry submit --kubernetes` and `soundquarry jobs` against a real API server: what is made, what is said."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from control_plane import ControlPlane, control_plane
from helm_release import Release
from server_api import Api, Object, awaited
from soundquarry_command import Said, soundquarry
from tiny_kubelet import TinyKubelet
from tiny_kuberay import RAY, TinyKubeRay

pytestmark = pytest.mark.kubernetes

WORK: Final = ("extract", "s3://archive/talks", "--catalog", "everyday", "--out", "s3://stems/talks")


@pytest.fixture
def release(plane: ControlPlane, namespace: str, kuberay: TinyKubeRay) -> Release:
    """The chart as it is for `submit`. Its runs wait until KubeRay serves the namespace."""
    made = Release(plane, namespace)
    made.install({})
    return made


def submit(release: Release, *arguments: str, token: str | None = None) -> Said:
    return soundquarry(release.plane, release.namespace, "submit", *WORK, "--no-follow", *arguments, token=token)


def test_submit_makes_one_run_with_its_own_files(release: Release) -> None:
    said = submit(release)
    assert said.returncode == 0, said.stderr
    (run,) = runs(release)
    meta = run["metadata"]
    assert meta["name"].startswith("sq-extract-")
    assert meta["labels"]["soundquarry.dev/workflow"] == "extract"
    assert meta["name"] == f"sq-extract-{meta['labels']['soundquarry.dev/work']}"
    assert meta["labels"]["app.kubernetes.io/instance"] == "talks"
    files = release.api.get("v1", "ConfigMap", f"{meta['name']}-job", release.namespace)
    assert files["metadata"]["ownerReferences"][0]["uid"] == meta["uid"]
    assert "s3://archive/talks" in files["data"]["job.yaml"]


def test_the_same_work_is_joined(release: Release) -> None:
    first, second = submit(release), submit(release)
    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert "already runs as sq-extract-" in second.stdout + second.stderr
    assert len(runs(release)) == 1


def test_a_run_goes_with_its_files(release: Release) -> None:
    assert submit(release).returncode == 0
    (run,) = runs(release)
    name, api = run["metadata"]["name"], release.api
    api.delete(RAY, "RayJob", name, release.namespace)
    awaited(lambda: not named(api, "ConfigMap", release.namespace, f"{name}-job"), f"ConfigMap {name}-job is gone")


def test_without_the_right_it_says_which_one_is_missing(release: Release) -> None:
    account = release.api.service_account("default", release.namespace)
    said = submit(release, token=account.token)
    assert said.returncode == 1
    assert f"service account default of namespace {release.namespace} may not" in said.stderr
    assert "Role" in said.stderr


def test_without_a_valid_token_it_says_so(release: Release) -> None:
    said = submit(release, token="expired")
    assert said.returncode == 1
    assert "does not know who you are (401)" in said.stderr


def test_without_the_chart_it_says_what_to_install(plane: ControlPlane, namespace: str) -> None:
    said = soundquarry(plane, namespace, "submit", *WORK, "--no-follow")
    assert said.returncode == 1
    assert "helm install" in said.stderr


def test_without_kuberay_it_says_what_to_install(tmp_path: Path) -> None:
    with control_plane(tmp_path) as bare:
        Release(bare, "default").install({})
        said = soundquarry(bare, "default", "submit", *WORK, "--no-follow")
    assert said.returncode == 1
    assert "KubeRay is not installed" in said.stderr


def test_a_full_quota_is_named_with_its_numbers(release: Release) -> None:
    hard = {"count/rayjobs.ray.io": "1"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "runs"}, "spec": {"hard": hard}}
    api, space = release.api, release.namespace
    api.create(quota, space)
    awaited(lambda: api.get("v1", "ResourceQuota", "runs", space).get("status", {}).get("hard"), "a quota in force")
    assert submit(release).returncode == 0
    said = submit(release, "--threshold", "0.7")
    assert said.returncode == 1
    assert f"the quota runs of namespace {space} is used up" in said.stderr
    assert len(runs(release)) == 1
    left = {one for one in names(api, "ConfigMap", space) if one.startswith("sq-")}
    assert left == {f"{runs(release)[0]['metadata']['name']}-job"}  # what was refused leaves no files


def test_a_gpu_that_no_node_has_is_named(release: Release, kuberay: TinyKubeRay, kubelet: TinyKubelet) -> None:
    release.upgrade({"workers": {"gpu": {"enabled": True}}})
    kuberay.served.add(release.namespace)
    assert submit(release).returncode == 0
    (name,) = (run["metadata"]["name"] for run in runs(release))

    def says() -> str:
        said = soundquarry(release.plane, release.namespace, "jobs", "status", name)
        text = said.stdout + said.stderr
        return text if "nvidia.com/gpu" in text else ""

    assert "pending" in awaited(says, f"a status that names the GPU; {kuberay.troubles}")


def test_a_job_that_has_begun_is_listed_looked_at_cancelled_and_still_there(
    release: Release, kuberay: TinyKubeRay, kubelet: TinyKubelet
) -> None:
    release.upgrade({"workers": {"gpu": {"enabled": True}}})  # it waits for a GPU
    kuberay.served.add(release.namespace)
    assert submit(release).returncode == 0
    (name,) = (run["metadata"]["name"] for run in runs(release))
    awaited(lambda: runs(release)[0].get("status"), f"a run that has begun; {kuberay.troubles}")
    assert name in jobs(release, "list")
    assert "pending" in jobs(release, "status", name)
    jobs(release, "cancel", name)
    assert "stopped" in jobs(release, "status", name)
    awaited(lambda: not release.api.list(RAY, "RayCluster", release.namespace), "its cluster is gone")


def test_a_job_that_has_not_begun_is_gone_when_it_is_cancelled(release: Release) -> None:
    assert submit(release).returncode == 0
    (name,) = (run["metadata"]["name"] for run in runs(release))
    jobs(release, "cancel", name)
    awaited(lambda: not runs(release), "no run")


def jobs(release: Release, *words: str) -> str:
    """What `soundquarry jobs` prints."""
    said = soundquarry(release.plane, release.namespace, "jobs", *words)
    assert said.returncode == 0, said.stderr
    return said.stdout


def runs(release: Release) -> list[Object]:
    return release.api.list(RAY, "RayJob", release.namespace)


def names(api: Api, kind: str, namespace: str) -> set[str]:
    return {one["metadata"]["name"] for one in api.list("v1", kind, namespace)}


def named(api: Api, kind: str, namespace: str, name: str) -> bool:
    return name in names(api, kind, namespace)
