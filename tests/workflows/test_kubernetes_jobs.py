"""Jobs on Kubernetes: submitted, joined, followed to the end, cancelled; against an API server that checks every body."""

from __future__ import annotations

import base64
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kubernetes_api import EVERYTHING, KubernetesApi, Refusal, Rule, kubernetes_api
from kuberay_operator import KubeRay
from rayjob_template import template_map

from workflows import kubernetes_watch, pod_log
from workflows.job_file import JobFile, read_job
from workflows.job_service import JobError, Submitted
from workflows.kubernetes_jobs import KubernetesJobs

CATALOG = "name: mine\nqueries:\n  - text: a dog barking\n"


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesApi]:
    """A cluster with KubeRay and one release of the chart, and a kubeconfig for it."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("SOUNDQUARRY_TEMPLATE", "JOB_NAME", "JOB_UID", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(kubernetes_watch, "TICK_SECONDS", 1)
    monkeypatch.setattr(kubernetes_watch, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(pod_log, "TICK_SECONDS", 0.2)
    monkeypatch.setattr(pod_log, "PAUSE_SECONDS", 0.05)
    with kubernetes_api() as running:
        running.put("configmaps", template_map())
        monkeypatch.setenv("KUBECONFIG", str(running.kubeconfig(tmp_path / "kubeconfig")))
        yield running


@pytest.fixture
def kuberay(api: KubernetesApi) -> KubeRay:
    return KubeRay(api)


@pytest.fixture
def job(tmp_path: Path) -> JobFile:
    return job_in(tmp_path / "job")


def job_in(folder: Path, out: str = "s3://stems/talks", catalog: str = CATALOG) -> JobFile:
    folder.mkdir(exist_ok=True)
    (folder / "catalog.yaml").write_text(catalog)
    (folder / "job.yaml").write_text(
        f"workflow: extract\nsources: [s3://archive/talks]\ncatalog: catalog.yaml\nout: {out}\n"
    )
    return read_job(folder / "job.yaml")


def service(said: list[str] | None = None, **where: Any) -> KubernetesJobs:
    return KubernetesJobs(say=(said if said is not None else []).append, **where)


@dataclass
class Follower:
    """Somebody who runs `soundquarry submit --follow`, in a thread."""

    name: str
    said: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    code: int | None = None
    error: JobError | None = None

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        jobs = service(self.said)
        try:
            for piece in jobs.logs(self.name, follow=True):
                self.printed.append(piece)
            self.code = jobs.wait(self.name)
        except JobError as error:
            self.error = error

    def hears(self, words: str) -> None:
        until(lambda: any(words in sentence for sentence in self.said), f"{words!r} among {self.said}")

    def reads(self, line: str) -> None:
        until(lambda: f"{line}\n" in self.printed, f"{line!r} among {self.printed}")

    def ends(self) -> int | None:
        self._thread.join(20)
        assert not self._thread.is_alive(), self.said
        return self.code


def until(holds: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    gives_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < gives_up, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def test_a_job_becomes_the_charts_rayjob_with_a_name_labels_and_its_files(api: KubernetesApi, job: JobFile) -> None:
    sent = service().submit(job, None, "join")
    assert sent == Submitted(f"sq-extract-{job.work}")
    made = api.get("rayjobs", sent.name)
    assert made["metadata"]["labels"] == {
        "app.kubernetes.io/name": "soundquarry",
        "app.kubernetes.io/instance": "stems",
        "soundquarry.dev/workflow": "extract",
        "soundquarry.dev/work": job.work,
    }
    assert made["spec"]["entrypoint"] == "soundquarry run /etc/soundquarry/job.yaml"
    cluster = made["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        (volume,) = group["template"]["spec"]["volumes"]
        assert volume["configMap"]["name"] == f"{sent.name}-job"
    files = api.get("configmaps", f"{sent.name}-job")
    assert "catalog: catalog.yaml" in files["data"]["job.yaml"]
    assert "a dog barking" in files["data"]["catalog.yaml"]


def test_the_files_go_when_the_rayjob_goes(api: KubernetesApi, job: JobFile) -> None:
    name = service().submit(job, None, "join").name
    assert api.names("configmaps") == [f"{name}-job", "stems-soundquarry-template"]
    api.remove("rayjobs", name)
    assert api.names("configmaps") == ["stems-soundquarry-template"]


def test_recordings_of_a_catalog_are_sent_along(api: KubernetesApi, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    bark = bytes(range(256)) * 10
    (folder / "bark.wav").write_bytes(bark)
    job = job_in(folder, catalog=f"name: mine\nqueries:\n  - id: bark\n    audio: [{folder}/bark.wav]\n")
    name = service().submit(job, None, "join").name
    files = api.get("configmaps", f"{name}-job")
    assert base64.b64decode(files["binaryData"]["bark.wav"]) == bark
    assert "bark.wav" in files["data"]["catalog.yaml"]
    (folder / "bark.wav").write_bytes(bark * 500)
    with pytest.raises(JobError, match=r"a ConfigMap holds 1,048,576 \(largest: bark.wav, 1,280,000\): put the"):
        service().submit(job_in(folder, catalog=(folder / "catalog.yaml").read_text()), None, "join")


def test_the_charts_own_job_needs_no_files_of_its_own(api: KubernetesApi, job: JobFile, tmp_path: Path) -> None:
    api.put("configmaps", {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stems-soundquarry-job"},
        "data": {"job.yaml": "# by hand\nout: s3://stems/talks\nworkflow: extract\ncatalog: catalog.yaml\nrate: model\n"
                             "sources:\n  - s3://archive/talks\n", "catalog.yaml": CATALOG},
    })  # fmt: skip
    name = service().submit(job, None, "join").name
    (volume,) = api.get("rayjobs", name)["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["volumes"]
    assert volume["configMap"]["name"] == "stems-soundquarry-job"
    assert f"{name}-job" not in api.names("configmaps")
    other = service().submit(job_in(tmp_path / "other", out="s3://stems/other"), None, "join").name
    assert f"{other}-job" in api.names("configmaps")


def test_the_same_work_is_joined_while_it_is_under_way_and_begun_anew_afterwards(
    api: KubernetesApi, kuberay: KubeRay, job: JobFile, tmp_path: Path
) -> None:
    jobs = service()
    first = jobs.submit(job, None, "join").name
    assert jobs.submit(job, None, "join") == Submitted(first, joined=True)
    assert jobs.submit(job, None, "skip") == Submitted(first, skipped=True)
    with pytest.raises(JobError, match=f"already runs as {first}"):
        jobs.submit(job, None, "fail")
    other = jobs.submit(job_in(tmp_path / "other", out="s3://stems/other"), None, "join")
    assert not other.joined
    kuberay.runs(first)
    kuberay.ends(first, "SUCCEEDED")
    assert jobs.submit(job, None, "join") == Submitted(f"{first}-2")
    assert jobs.submit(job, None, "join") == Submitted(f"{first}-2", joined=True)


def test_a_scheduled_run_is_skipped_while_any_run_of_its_release_goes_on(
    api: KubernetesApi, kuberay: KubeRay, job: JobFile, tmp_path: Path
) -> None:
    jobs = service()
    other = jobs.submit(job_in(tmp_path / "other", out="s3://stems/other"), "by-hand", "join").name
    assert jobs.submit(job, "nightly-1", "skip") == Submitted(other, skipped=True)
    kuberay.runs(other)
    kuberay.ends(other, "FAILED", "Job entrypoint command failed with exit code 1. No logs available.", 1)
    assert jobs.submit(job, "nightly-1", "skip") == Submitted("nightly-1")


def test_the_retry_of_a_scheduled_pod_takes_up_its_own_run_ended_or_not(
    api: KubernetesApi, kuberay: KubeRay, job: JobFile
) -> None:
    jobs = service()
    assert jobs.submit(job, "nightly-1", "skip") == Submitted("nightly-1")
    assert jobs.submit(job, "nightly-1", "skip") == Submitted("nightly-1", joined=True)
    kuberay.runs("nightly-1")
    kuberay.ends("nightly-1", "SUCCEEDED")
    assert jobs.submit(job, "nightly-1", "skip") == Submitted("nightly-1", joined=True)
    assert jobs.wait("nightly-1") == 0
    assert api.names("rayjobs") == ["nightly-1"]


def test_a_run_that_a_scheduled_job_began_goes_with_its_history(
    api: KubernetesApi, job: JobFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOB_NAME", "nightly-29400000")
    monkeypatch.setenv("JOB_UID", "d0a1")
    service().submit(job, "nightly-29400000-r", "skip")
    (owner,) = api.get("rayjobs", "nightly-29400000-r")["metadata"]["ownerReferences"]
    assert owner == {"apiVersion": "batch/v1", "kind": "Job", "name": "nightly-29400000", "uid": "d0a1"}


def test_two_submits_at_a_time_begin_one_run(api: KubernetesApi, job: JobFile) -> None:
    sent: list[Submitted] = []
    threads = [threading.Thread(target=lambda: sent.append(service().submit(job, None, "join"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert api.names("rayjobs") == [f"sq-extract-{job.work}"]
    assert sorted(entry.joined for entry in sent) == [False, True, True, True]
    assert f"sq-extract-{job.work}-job" in api.names("configmaps")


@pytest.mark.parametrize("name", ["x" * 48, "1st", "Großes-Archiv", "a_b", "a-", ""])
def test_a_name_that_kuberay_would_refuse_is_refused_at_once(api: KubernetesApi, job: JobFile, name: str) -> None:
    with pytest.raises(JobError, match="does not do for a RayJob: give at most 47 characters"):
        service().submit(job, name, "join")
    assert api.asked == []


def test_a_name_that_does_other_work_or_has_ended_is_not_taken_again(
    api: KubernetesApi, kuberay: KubeRay, job: JobFile, tmp_path: Path
) -> None:
    jobs = service()
    jobs.submit(job, "talks", "join")
    with pytest.raises(JobError, match="there is a RayJob talks already, which has other work"):
        jobs.submit(job_in(tmp_path / "other", out="s3://stems/other"), "talks", "join")
    kuberay.runs("talks")
    kuberay.ends("talks", "SUCCEEDED")
    with pytest.raises(JobError, match=r"has ended \(succeeded\): give another --name"):
        jobs.submit(job, "talks", "join")


def test_of_several_releases_one_has_to_be_named(api: KubernetesApi, job: JobFile) -> None:
    api.put("configmaps", template_map("music", "music"))
    with pytest.raises(JobError, match="2 releases of the chart are in media: give --release, one of music, stems"):
        service().submit(job, None, "join")
    name = service(release="music").submit(job, None, "join").name
    assert api.get("rayjobs", name)["metadata"]["labels"]["app.kubernetes.io/instance"] == "music"
    with pytest.raises(JobError, match="no release 'podcast' of the chart in namespace media: there is music, stems"):
        service(release="podcast").submit(job, None, "join")


def test_the_charts_pods_know_their_template_and_need_not_list_any(
    api: KubernetesApi, job: JobFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.put("configmaps", template_map("music", "music"))
    monkeypatch.setenv("SOUNDQUARRY_TEMPLATE", "music-template")
    service(release="music").submit(job, None, "join")
    assert ("admin", "list", "configmaps", "") not in api.asked


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
