"""Jobs on Kubernetes: submitted, joined, followed to the end, cancelled. The API server checks every body."""

from __future__ import annotations

import base64
import doctest
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from documented_role import documented_rights, documented_role
from kuberay_operator import KubeRay
from kubernetes_api import EVERYTHING, KubernetesApi, Refusal, Rule
from kubernetes_server import kubernetes_api
from rayjob_template import rayjob_template, template_map

from workflows.jobs.job_file import JobFile, read_job
from workflows.jobs.job_service import JobError, Submitted
from workflows.jobs.on_kubernetes import job_map, pod_log, rayjob_state
from workflows.jobs.on_kubernetes import watch as kubernetes_watch
from workflows.jobs.on_kubernetes.jobs import KubernetesJobs
from workflows.jobs.on_kubernetes.rayjob_manifest import rayjob, template_of

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


def test_examples_hold() -> None:
    assert [doctest.testmod(module).failed for module in (job_map, pod_log, rayjob_state)] == [0, 0, 0]


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


@pytest.mark.parametrize(
    ("workflow", "gpus", "reserved"),
    [
        ("extract", 1, {}),
        ("evaluate", 1, {"entrypointNumGpus": 1}),
        ("evaluate", 0, {"entrypointNumCpus": 1}),
    ],
)
def test_a_driver_reserves_what_it_computes_with_whatever_the_charts_own_job_is(
    workflow: str, gpus: int, reserved: dict[str, int]
) -> None:
    config_map = template_map(entrypointNumGpus=1)
    if not gpus:
        config_map["data"]["rayjob.yaml"] = config_map["data"]["rayjob.yaml"].replace("nvidia.com/gpu: 1", "cpu: 4")
    made = rayjob(template_of(config_map), "sq-1", "sound", workflow, "0" * 10, "sq-1-job")
    assert {name: value for name, value in made["spec"].items() if name.startswith("entrypointNum")} == reserved


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


def test_the_charts_own_job_is_known_by_its_lists_wherever_they_are_mounted(api: KubernetesApi, tmp_path: Path) -> None:
    files = {"job.yaml": "workflow: mine\nsources: [s3://archive/talks]\ncatalog: catalog.yaml\nout: s3://stems/talks\n"
                         "ucs_list: ucs.csv\n", "ucs.csv": "CatID\nANMLDog\n", "catalog.yaml": CATALOG}  # fmt: skip
    api.put("configmaps", {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stems-soundquarry-job"}, "data": files,
    })  # fmt: skip
    (tmp_path / "mounted").mkdir()
    for name, content in files.items():
        (tmp_path / "mounted" / name).write_text(content)
    service().submit(read_job(tmp_path / "mounted" / "job.yaml"), "nightly-1", "skip")
    assert api.names("configmaps") == ["stems-soundquarry-job", "stems-soundquarry-template"]


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


def charts_job(api: KubernetesApi, folder: Path, digest: str) -> None:
    """The chart's own job, as an install or an upgrade leaves it; the files are those in a folder."""
    files = {path.name: path.read_text() for path in folder.iterdir()}
    meta = {"name": "stems-soundquarry-job", "labels": {"soundquarry.dev/job": digest}}
    api.put("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": files})


@pytest.fixture(params=["helm", "KubeRay"])
def own_run(request: pytest.FixtureRequest, api: KubernetesApi, job: JobFile, tmp_path: Path) -> str:
    """A run of the chart's own job, which knows no hash of its work; KubeRay leaves the labels of its head alone."""
    charts_job(api, tmp_path / "job", "aaaaaaaaaa")
    own = rayjob_template()
    labels = {**own["metadata"]["labels"], "soundquarry.dev/workflow": "extract", "soundquarry.dev/job": "aaaaaaaaaa"}
    if request.param == "helm":
        own["metadata"]["labels"] = labels
    else:
        own["metadata"]["labels"] = {"ray.io/cronjob-name": "stems-soundquarry"}
        own["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["metadata"] = {"labels": labels}
    own["metadata"]["name"] = "stems-soundquarry-1"
    api.put("rayjobs", own)
    return "stems-soundquarry-1"


def test_the_run_that_the_chart_itself_began_is_joined(own_run: str, job: JobFile, tmp_path: Path) -> None:
    assert service().submit(job, None, "join") == Submitted(own_run, joined=True)
    assert not service().submit(job_in(tmp_path / "other", out="s3://stems/other"), None, "join").joined


def test_a_run_that_began_before_the_charts_job_was_changed_is_not_taken_for_one_of_it(
    api: KubernetesApi, own_run: str, tmp_path: Path
) -> None:
    changed = job_in(tmp_path / "changed", out="s3://stems/other")
    charts_job(api, tmp_path / "changed", "bbbbbbbbbb")
    sent = service().submit(changed, None, "join")
    assert sent == Submitted(f"sq-extract-{changed.work}")
    assert service().submit(changed, None, "join") == Submitted(sent.name, joined=True)


def test_what_is_submitted_bears_the_hash_of_the_charts_job_only_where_it_does_that(
    api: KubernetesApi, job: JobFile, tmp_path: Path
) -> None:
    template = rayjob_template()
    template["metadata"]["labels"]["soundquarry.dev/job"] = "aaaaaaaaaa"
    head = template["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]
    head["metadata"] = {"labels": {"soundquarry.dev/job": "aaaaaaaaaa"}}
    config_map = template_map()
    config_map["data"]["rayjob.yaml"] = yaml.safe_dump(template)
    made = template_of(config_map)
    own = rayjob(made, "sq-1", "sound", "extract", job.work, made.job_map)
    assert rayjob_state.label(own, "soundquarry.dev/job") == "aaaaaaaaaa"
    other = rayjob(made, "sq-1", "sound", "extract", job.work, "sq-1-job")
    assert rayjob_state.label(other, "soundquarry.dev/job") == ""


def test_a_scheduled_run_is_skipped_while_the_one_before_goes_on_whatever_it_does(
    api: KubernetesApi, kuberay: KubeRay, job: JobFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, before = service(), job_in(tmp_path / "before", out="s3://stems/before")
    for name, uid in (("nightly-1", "d0a1"), ("nightly-2", "d0a2")):
        monkeypatch.setenv("JOB_NAME", name)
        monkeypatch.setenv("JOB_UID", uid)
        sent = jobs.submit(before if name == "nightly-1" else job, f"{name}-r", "skip")
    assert sent == Submitted("nightly-1-r", skipped=True, other_work=True)
    kuberay.runs("nightly-1-r")
    kuberay.ends("nightly-1-r", "FAILED", "Job entrypoint command failed with exit code 1. No logs available.", 1)
    assert jobs.submit(job, "nightly-2-r", "skip") == Submitted("nightly-2-r")


def test_a_run_that_a_person_began_keeps_no_schedule_from_other_work(
    api: KubernetesApi, job: JobFile, tmp_path: Path
) -> None:
    jobs = service()
    jobs.submit(job_in(tmp_path / "other", out="s3://stems/other"), "by-hand", "join")
    assert jobs.submit(job, "nightly-1", "skip") == Submitted("nightly-1")
    assert jobs.submit(job, "nightly-2", "skip") == Submitted("nightly-1", skipped=True)


def test_the_schedule_of_another_release_is_another_one(
    api: KubernetesApi, job: JobFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.put("configmaps", template_map("music", "music"))
    monkeypatch.setenv("JOB_NAME", "nightly")
    monkeypatch.setenv("JOB_UID", "d0a1")
    service(release="music").submit(job_in(tmp_path / "other", out="s3://stems/other"), "music-1", "skip")
    assert service(release="stems").submit(job, "stems-1", "skip") == Submitted("stems-1")


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
    kuberay.status("talks", startTime="2026-01-31T09:00:00Z")
    threading.Thread(target=lambda: _play(kuberay, "talks"), daemon=True).start()
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


@pytest.fixture
def submitted(api: KubernetesApi, job: JobFile) -> str:
    """The name of a RayJob that KubeRay has not seen yet."""
    return service().submit(job, "talks", "join").name


def test_a_follower_hears_each_phase_once_and_reads_what_the_job_prints(
    api: KubernetesApi, kuberay: KubeRay, submitted: str
) -> None:
    follower = Follower(submitted)
    follower.hears("waiting for KubeRay to take the job")
    kuberay.takes(submitted)
    follower.hears("the cluster is being made")
    lacking = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    kuberay.head(submitted)
    worker = kuberay.worker(submitted, unschedulable=lacking, resources={"limits": {"nvidia.com/gpu": "1"}})
    follower.hears("waiting for a GPU node")
    follower.hears("no node has 1 free nvidia.com/gpu")
    creating = {"waiting": {"reason": "ContainerCreating"}}
    kuberay.worker(submitted, state=creating)
    kuberay.event(worker, "Pulling", 'Pulling image "example.org/soundquarry:1"')
    follower.hears("pulling the image")
    kuberay.event(worker, "Pulled", "Successfully pulled image")
    follower.hears("the cluster starts: 1 of 2 pods are ready")
    kuberay.worker(submitted)
    pod = kuberay.submitter(submitted, state=creating)
    kuberay.status(submitted, jobDeploymentStatus="Running", jobStatus="PENDING")
    follower.hears("the cluster is up, the job is handed to it")
    kuberay.pod(pod, {"job-name": submitted}, ("ray-job-submitter",))
    api.say(pod, "planning ...")
    follower.reads("planning ...")
    kuberay.status(submitted, jobStatus="RUNNING")
    follower.hears("running")
    api.say(pod, "Größe: 3 of 9 units")
    follower.reads("Größe: 3 of 9 units")
    api.say(pod, "done")
    kuberay.ends(submitted, "SUCCEEDED", "Job finished successfully.")
    assert follower.ends() == 0
    assert follower.printed == ["planning ...\n", "Größe: 3 of 9 units\n", "done\n"]
    assert len(set(follower.said)) == len(follower.said)
    assert follower.said[-1] == "running"


def test_what_ray_says_of_the_driver_counts_once_everything_has_ended(kuberay: KubeRay, submitted: str) -> None:
    kuberay.runs(submitted)
    kuberay.ends(submitted, "STOPPED", "Job was intentionally stopped.")
    assert service().wait(submitted) == 130
    assert service().status(submitted).message == "stopped through Ray"
    kuberay.status(submitted, jobStatus="SUCCEEDED", jobDeploymentStatus="Failed", reason="DeadlineExceeded")
    assert service().wait(submitted) == 0
    kuberay.status(submitted, jobStatus="RUNNING")
    assert service().wait(submitted) == 1


def test_a_worker_that_runs_out_of_memory_meanwhile_is_told(kuberay: KubeRay, submitted: str) -> None:
    pod = kuberay.runs(submitted)
    follower = Follower(submitted)
    kuberay.api.say(pod, "3 of 9 units")
    follower.reads("3 of 9 units")
    kuberay.worker(submitted, state={"terminated": {"exitCode": 137, "reason": "OOMKilled"}})
    follower.hears("was killed because it used more than its memory limit")
    kuberay.ends(submitted, "SUCCEEDED")
    assert follower.ends() == 0


@pytest.mark.parametrize(
    ("message", "code", "expected"),
    [
        ("Job entrypoint command failed with exit code 2, last available logs (truncated to 20,000 chars):\nx", 1, 2),
        ("Job entrypoint command failed with exit code 1, last available logs (truncated to 20,000 chars):\nx", 1, 1),
        ("Job entrypoint command failed with exit code -9. No logs available.", 1, 1),
        ("Job supervisor actor died: The actor is dead because its node has died.", 1, 1),
    ],
)
def test_a_follower_ends_with_the_exit_code_of_the_job(
    kuberay: KubeRay, submitted: str, message: str, code: int, expected: int
) -> None:
    kuberay.runs(submitted)
    kuberay.ends(submitted, "FAILED", message, code)
    assert service().wait(submitted) == expected


def test_the_state_tells_how_a_process_was_killed_and_why_the_job_failed(kuberay: KubeRay, submitted: str) -> None:
    kuberay.runs(submitted)
    said = "planning ...\nsoundquarry: --out s3://stems/talks was made with another model; give another --out\n"
    kuberay.ends(
        submitted, "FAILED", f"Job entrypoint command failed with exit code 2, last available logs:\n{said}", 1
    )
    state = service().status(submitted)
    assert (state.state, state.exit_code, state.workflow) == ("failed", 2, "extract")
    assert state.message == (
        "it ended with exit code 2: --out s3://stems/talks was made with another model; give another --out"
    )
    assert state.started is not None
    assert state.ended is not None
    assert state.started <= state.ended
    kuberay.status(submitted, message="Job entrypoint command failed with exit code -9. No logs available.")
    assert service().status(submitted).exit_code == 137


def test_a_retry_is_followed_in_its_new_cluster(api: KubernetesApi, kuberay: KubeRay, submitted: str) -> None:
    job = api.get("rayjobs", submitted)
    job["spec"]["backoffLimit"] = 1
    api.put("rayjobs", job)
    first = kuberay.runs(submitted)
    follower = Follower(submitted)
    api.say(first, "first attempt")
    follower.reads("first attempt")
    kuberay.retries(submitted, failed=1)
    follower.hears("attempt 1 of 2 failed, KubeRay begins another one")
    kuberay.status(submitted, jobDeploymentStatus=None, jobStatus=None, rayClusterName=None, reason=None)
    kuberay.takes(submitted, attempt=2)
    second = kuberay.submitter(submitted, "qqqqq")
    api.say(second, "second attempt")
    kuberay.status(submitted, jobDeploymentStatus="Running", jobStatus="RUNNING")
    follower.reads("second attempt")
    kuberay.ends(submitted, "SUCCEEDED")
    assert follower.ends() == 0
    assert follower.printed == ["first attempt\n", "second attempt\n"]
    assert "its log begins once more, in another pod" in follower.said


def test_what_breaks_off_is_taken_up_again_without_a_gap(api: KubernetesApi, kuberay: KubeRay, submitted: str) -> None:
    pod = kuberay.runs(submitted)
    for number in range(20):
        api.say(pod, f"line {number}")
    api.broken_streams = 6
    follower = Follower(submitted)
    follower.reads("line 19")
    api.forgotten = api.version + 1  # the watch that follows is told that its version is too old
    api.say(pod, "line 20")
    follower.reads("line 20")
    api.forgotten = 0
    busy = Refusal(503, "the server is currently unable to handle the request", "ServiceUnavailable")
    api.refusals += [("get", "rayjobs", busy), ("watch", "rayjobs", busy)]
    kuberay.ends(submitted, "SUCCEEDED")
    assert follower.ends() == 0
    assert follower.printed == [f"line {number}\n" for number in range(21)]


def test_lines_of_one_moment_are_neither_lost_nor_doubled(api: KubernetesApi, kuberay: KubeRay, submitted: str) -> None:
    pod = kuberay.runs(submitted)
    api.say(pod, "a")
    stamp = api.logs[pod, "ray-job-submitter"][0][0]
    api.logs[pod, "ray-job-submitter"] += [(stamp, "a"), (stamp, "b")]
    api.broken_streams = 1
    kuberay.ends(submitted, "SUCCEEDED")
    assert [*service().logs(submitted, follow=True)] == ["a\n", "a\n", "b\n"]


def test_the_log_of_a_sidecar_is_the_jobs_log(api: KubernetesApi, kuberay: KubeRay, job: JobFile) -> None:
    api.put("configmaps", template_map(submissionMode="SidecarMode"))
    name = service().submit(job, "talks", "join").name
    kuberay.takes(name)
    head = kuberay.head(name, "ray-job-submitter")
    api.say(head, "3 of 9 units")
    kuberay.status(name, jobDeploymentStatus="Running", jobStatus="RUNNING")
    assert [*service().logs(name, follow=False)] == ["3 of 9 units\n"]


def test_without_a_pod_that_prints_a_follower_is_told_where_the_log_is(
    api: KubernetesApi, kuberay: KubeRay, job: JobFile
) -> None:
    api.put("configmaps", template_map(submissionMode="HTTPMode"))
    name = service().submit(job, "talks", "join").name
    follower = Follower(name)
    kuberay.takes(name)
    kuberay.status(name, jobDeploymentStatus="Running", jobStatus="RUNNING")
    follower.hears("with submissionMode HTTPMode no pod prints the job's log")
    kuberay.status(name, jobDeploymentStatus="Complete", jobStatus="SUCCEEDED")
    assert follower.ends() == 0


def test_a_cancelled_job_ends_at_once_stays_readable_and_gives_its_nodes_back(
    api: KubernetesApi, kuberay: KubeRay, submitted: str
) -> None:
    pod = kuberay.runs(submitted)
    kuberay.status(submitted, startTime="2026-01-31T09:00:00Z")
    follower = Follower(submitted)
    api.say(pod, "3 of 9 units")
    follower.reads("3 of 9 units")
    watching = threading.Thread(target=lambda: _play(kuberay, submitted), daemon=True)
    watching.start()
    service().cancel(submitted)
    assert follower.ends() == 130
    state = service().status(submitted)
    assert (state.state, state.exit_code) == ("stopped", None)
    assert state.message.startswith("cancelled at 20")
    assert kuberay.pods(f"ray.io/cluster={submitted}-a1") == []
    assert api.get("jobs", submitted)["spec"]["backoffLimit"] == 0
    assert [*service().logs(submitted, follow=False)] == ["3 of 9 units\n"]
    version = api.version
    service().cancel(submitted)
    assert api.version == version


def _play(kuberay: KubeRay, name: str) -> None:
    """KubeRay, which sees a RayJob that was patched."""
    until(lambda: kuberay.api.get("rayjobs", name)["spec"].get("activeDeadlineSeconds") == 1, "cancelled")
    kuberay.reconcile(name)


def test_a_job_that_has_not_begun_is_cancelled_by_taking_it_away(
    api: KubernetesApi, kuberay: KubeRay, submitted: str
) -> None:
    kuberay.status(submitted, jobDeploymentStatus="Suspended")
    follower = Follower(submitted)
    follower.hears("suspended")
    service().cancel(submitted)
    assert follower.ends() == 130
    assert api.names("rayjobs") == []
    assert api.names("configmaps") == ["stems-soundquarry-template"]


def test_the_state_of_a_followed_job_is_known_after_it_is_gone(
    api: KubernetesApi, kuberay: KubeRay, submitted: str
) -> None:
    jobs = service()
    kuberay.runs(submitted)
    kuberay.ends(submitted, "SUCCEEDED")
    assert [*jobs.logs(submitted, follow=True)] == []
    api.remove("rayjobs", submitted)
    assert jobs.wait(submitted) == 0
    assert jobs.status(submitted).state == "succeeded"


def test_a_job_that_goes_away_before_its_end_is_an_error(api: KubernetesApi, kuberay: KubeRay, submitted: str) -> None:
    kuberay.runs(submitted)
    follower = Follower(submitted)
    follower.hears("running")
    api.remove("rayjobs", submitted)
    follower.ends()
    assert "RayJob talks was deleted before it had ended (last seen: running)" in str(follower.error)


def test_a_job_that_is_not_there_or_not_ours_is_left_alone(api: KubernetesApi) -> None:
    api.put("rayjobs", {
        "apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": {"name": "training"},
        "spec": {"entrypoint": "python train.py"},
    })  # fmt: skip
    jobs = service()
    assert jobs.list() == []
    for act in (jobs.status, jobs.cancel, jobs.wait, lambda name: [*jobs.logs(name, follow=True)]):
        with pytest.raises(JobError, match="no RayJob talks in namespace media: it was never submitted there, was"):
            act("talks")
        with pytest.raises(JobError, match="RayJob training does not run soundquarry and is left alone"):
            act("training")
    assert api.names("rayjobs") == ["training"]


def test_jobs_are_listed_the_newest_first_with_what_they_do(
    api: KubernetesApi, kuberay: KubeRay, job: JobFile, tmp_path: Path
) -> None:
    api.put("configmaps", template_map("music", "music"))
    for number, release in enumerate(("stems", "music", "stems")):
        other = job_in(tmp_path / f"job{number}", out=f"s3://stems/{number}")
        service(release=release).submit(other, f"job-{number}", "join")
        made = api.get("rayjobs", f"job-{number}")
        made["metadata"]["creationTimestamp"] = f"2026-01-0{number + 1}T00:00:00Z"
        api.put("rayjobs", made)
    kuberay.runs("job-0")
    kuberay.ends("job-0", "SUCCEEDED")
    kuberay.runs("job-1")
    kuberay.takes("job-2")
    assert [(state.name, state.state) for state in service().list()] == [
        ("job-2", "pending"), ("job-1", "running"), ("job-0", "succeeded"),
    ]  # fmt: skip
    assert [state.name for state in service(release="music").list()] == ["job-1"]
    assert ("admin", "list", "pods", "") not in api.asked


def test_the_run_of_a_raycronjob_is_one_of_ours_by_its_pods_labels(api: KubernetesApi) -> None:
    spec = rayjob_template()["spec"]
    labels = {"soundquarry.dev/workflow": "mine", "app.kubernetes.io/instance": "stems"}
    spec["rayClusterSpec"]["headGroupSpec"]["template"]["metadata"] = {"labels": labels}
    api.put("rayjobs", {
        "apiVersion": "ray.io/v1", "kind": "RayJob", "spec": spec,
        "metadata": {"name": "stems-29400000", "labels": {"ray.io/cronjob-name": "stems"}},
    })  # fmt: skip
    assert [(state.name, state.workflow) for state in service(release="stems").list()] == [("stems-29400000", "mine")]


@pytest.mark.parametrize("where", ["logs", "status"])
def test_before_anything_is_printed_the_reason_is_told(kuberay: KubeRay, submitted: str, where: str) -> None:
    kuberay.takes(submitted)
    if where == "logs":
        with pytest.raises(JobError, match="RayJob talks has no log: the cluster is being made"):
            [*service().logs(submitted, follow=False)]
    else:
        assert service().status(submitted).message == "the cluster is being made"


def test_what_was_made_for_a_refused_job_is_taken_away_again(api: KubernetesApi, job: JobFile) -> None:
    quota = "exceeded quota: gpu, requested: count/rayjobs.ray.io=1, used: count/rayjobs.ray.io=2, limited: "
    message = f'rayjobs.ray.io "x" is forbidden: {quota}count/rayjobs.ray.io=2'
    api.refusals.append(("create", "rayjobs", Refusal(403, message, "Forbidden")))
    with pytest.raises(JobError, match="the quota gpu of namespace media is used up"):
        service().submit(job, None, "join")
    assert api.names("configmaps") == ["stems-soundquarry-template"]


BUSY = Refusal(504, "request did not complete within the allowed timeout", "Timeout")


def files_stay(api: KubernetesApi, name: str) -> None:
    """What the RayJob reads is there, and belongs to it."""
    run = api.get("rayjobs", name)
    (volume,) = run["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["volumes"]
    files = api.get("configmaps", volume["configMap"]["name"])
    assert "s3://archive/talks" in files["data"]["job.yaml"]
    assert files["metadata"]["ownerReferences"][0]["uid"] == run["metadata"]["uid"]


def test_a_create_whose_answer_is_lost_is_looked_for_and_keeps_its_files(api: KubernetesApi, job: JobFile) -> None:
    api.lost_answers.append(("create", "rayjobs"))
    name = service().submit(job, None, "join").name
    assert api.lost_answers == []
    files_stay(api, name)


def test_a_create_that_may_yet_be_done_leaves_its_files_to_the_next_submit(api: KubernetesApi, job: JobFile) -> None:
    api.refusals.append(("create", "rayjobs", BUSY))
    with pytest.raises(JobError, match="the API server answers 504"):
        service().submit(job, None, "join")
    assert f"sq-extract-{job.work}-job" in api.names("configmaps")
    files_stay(api, service().submit(job, None, "join").name)


@pytest.mark.parametrize("lost", ["its owner", "all of it"])
def test_who_joins_a_run_puts_back_what_its_files_lack(api: KubernetesApi, job: JobFile, lost: str) -> None:
    name = service().submit(job, "talks", "join").name
    files = f"talks-{job.work}-job"
    if lost == "its owner":
        orphan = api.get("configmaps", files)
        del orphan["metadata"]["ownerReferences"]
        api.put("configmaps", orphan)
    else:
        api.remove("configmaps", files)
    assert service().submit(job, None, "join") == Submitted(name, joined=True)
    files_stay(api, name)


def test_files_that_are_going_with_a_deleted_rayjob_are_made_anew(api: KubernetesApi, job: JobFile) -> None:
    name = service().submit(job, "talks", "join").name
    going = api.get("configmaps", f"talks-{job.work}-job")
    api.remove("rayjobs", name)
    del going["metadata"]["uid"]
    api.put("configmaps", going)  # the garbage collector has not been there yet
    files_stay(api, service().submit(job, "talks", "join").name)


def test_of_two_submits_with_one_name_and_other_work_one_is_refused_and_the_other_keeps_its_files(
    api: KubernetesApi, job: JobFile, tmp_path: Path
) -> None:
    other = job_in(tmp_path / "other", out="s3://stems/other")
    sent: list[Submitted] = []
    errors: list[JobError] = []

    def send(one: JobFile) -> None:
        try:
            sent.append(service().submit(one, "talks", "join"))
        except JobError as error:
            errors.append(error)

    threads = [threading.Thread(target=send, args=(one,)) for one in (job, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [entry.name for entry in sent] == ["talks"]
    assert "there is a RayJob talks already, which has other work" in str(errors[0])
    files_stay(api, "talks")
    assert len(api.names("configmaps")) == 2


def test_a_follower_who_may_not_read_events_is_told_so_and_follows(
    api: KubernetesApi, kuberay: KubeRay, submitted: str
) -> None:
    api.rights["admin"] = [Rule(EVERYTHING, ("rayjobs", "pods", "pods/log", "configmaps"), EVERYTHING)]
    follower = Follower(submitted)
    kuberay.takes(submitted)
    follower.hears("admin may not list events in namespace media")
    kuberay.runs(submitted)
    kuberay.ends(submitted, "SUCCEEDED")
    assert follower.ends() == 0
