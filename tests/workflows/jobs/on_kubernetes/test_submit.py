"""A job becomes a RayJob, or joins the one that does its work. The API server checks every body."""

from __future__ import annotations

import base64
import threading
from pathlib import Path

import pytest
import yaml
from kuberay_operator import KubeRay
from kubernetes_api import KubernetesApi
from rayjob_template import rayjob_template, template_map
from submitted_jobs import CATALOG, job_in, service

from workflows.jobs.job_file import JobFile, job_of, read_job
from workflows.jobs.job_service import JobError, Submitted
from workflows.jobs.on_kubernetes import rayjob_state
from workflows.jobs.on_kubernetes.rayjob_manifest import rayjob, template_of


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


@pytest.mark.parametrize("workflow", ["extract", "evaluate"])
def test_a_driver_reserves_nothing_whatever_the_template_of_an_older_chart_says(workflow: str) -> None:
    template = template_of(template_map(entrypointNumGpus=1))
    made = rayjob(template, "sq-1", "sound", workflow, "0" * 10, "sq-1-job")
    assert not {name for name in made["spec"] if name.startswith("entrypointNum")}


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


def test_a_training_takes_its_recipe_and_its_held_out_labels_along(
    api: KubernetesApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ours.yaml").write_text("base: supervised\nabout: Ours.\nmixtures: {batch: 8}\n")
    (tmp_path / "labels.txt").write_text("dog\n")
    asked = ["ours.yaml", "--data", "s3://archive/clips", "--out", "s3://models/ours", "--held-out", "labels.txt"]
    job = job_of("train", asked)
    name = service().submit(job, None, "join").name
    assert name == f"sq-train-{job.work}"
    made = api.get("rayjobs", name)
    assert made["metadata"]["labels"]["soundquarry.dev/workflow"] == "train"
    assert not [field for field in made["spec"] if field.startswith("entrypointNum")], "it computes in workers"
    files = api.get("configmaps", f"{name}-job")["data"]
    assert "recipe: recipe.yaml" in files["job.yaml"]
    assert yaml.safe_load(files["recipe.yaml"])["mixtures"]["batch"] == 8
    assert files["held_out.txt"] == "dog\n"


def test_the_charts_own_training_is_joined_and_one_with_a_broken_recipe_stands_in_nobodys_way(
    api: KubernetesApi, job: JobFile, tmp_path: Path
) -> None:
    files = {
        "job.yaml": "workflow: train\nrecipe: recipe.yaml\ndata: [s3://archive/clips]\nout: s3://models/ours\n",
        "recipe.yaml": "base: supervised\nabout: Ours.\n",
    }
    (tmp_path / "mounted").mkdir()
    for name, content in files.items():
        (tmp_path / "mounted" / name).write_text(content)
    charts_job(api, tmp_path / "mounted", "aaaaaaaaaa")
    asked = ["supervised", "--set", "about=Ours.", "--data", "s3://archive/clips", "--out", "s3://models/ours"]
    name = service().submit(job_of("train", asked), None, "join").name
    assert f"{name}-job" not in api.names("configmaps"), "its files are the chart's"
    (tmp_path / "mounted" / "recipe.yaml").write_text("base: nothing\n")
    charts_job(api, tmp_path / "mounted", "bbbbbbbbbb")
    assert not service().submit(job, None, "join").joined


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
    assert jobs.submit(job, "nightly-1", "skip") == Submitted("nightly-1", joined=True, ended=True)
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
