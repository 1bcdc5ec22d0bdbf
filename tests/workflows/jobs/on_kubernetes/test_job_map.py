"""A job's files: there as long as its RayJob, whatever is lost on the way and whoever submits beside."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from kubernetes_api import KubernetesApi, Refusal
from submitted_jobs import job_in, service

from workflows.jobs.job_file import JobFile
from workflows.jobs.job_service import JobError, Submitted


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
