"""The control plane of these tests is a real one: it knows its users, enforces its rules, and Jobs become processes."""

from __future__ import annotations

import pytest
from control_plane import ControlPlane
from kubernetes_work import log_of, outcome
from server_api import Api, Object, RefusedError
from tiny_kubelet import TinyKubelet

pytestmark = pytest.mark.kubernetes

RAY_JOB = {
    "apiVersion": "ray.io/v1",
    "kind": "RayJob",
    "metadata": {"name": "by-hand"},
    "spec": {
        "entrypoint": "soundquarry doctor",
        "rayClusterSpec": {
            "rayVersion": "2.60.0",
            "headGroupSpec": {
                "rayStartParams": {},
                "template": {"spec": {"containers": [{"name": "ray-head", "image": "soundquarry:0.1.0"}]}},
            },
        },
    },
}
LOOK_AROUND = (
    "echo $GREETING; cat /etc/soundquarry/job.yaml; wc -c < /var/run/secrets/kubernetes.io/serviceaccount/token"
)


def job(script: str) -> Object:
    """A Job that runs the script in a pod with a mounted file, an account's token and variables."""
    container = {
        "name": "work",
        "image": "soundquarry:0.1.0",
        "command": ["/bin/sh", "-c", script],
        "env": [
            {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "GREETING", "value": "hello $(WHO)"},
        ],
        "volumeMounts": [{"name": "job", "mountPath": "/etc/soundquarry", "readOnly": True}],
    }
    volumes = [{"name": "job", "configMap": {"name": "job"}}]
    pod = {"containers": [container], "restartPolicy": "Never", "volumes": volumes}
    spec = {"backoffLimit": 0, "template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}, "spec": spec}


def test_a_stranger_is_not_let_in_and_an_account_without_a_role_may_not_look(
    plane: ControlPlane, namespace: str
) -> None:
    with pytest.raises(RefusedError) as stranger:
        Api(plane.url, plane.certificate, "guessed").list("v1", "Pod", namespace)
    assert stranger.value.code == 401
    account = plane.admin.service_account("default", namespace)
    with pytest.raises(RefusedError) as powerless:
        account.call("GET", f"/api/v1/namespaces/{namespace}/pods")
    assert powerless.value.code == 403
    assert f"system:serviceaccount:{namespace}:default" in powerless.value.message


def test_kuberays_definitions_are_in_force(admin: Api, namespace: str) -> None:
    stored = admin.create(RAY_JOB, namespace)
    assert stored["spec"]["ttlSecondsAfterFinished"] == 0  # a default of the definition
    wrong = RAY_JOB | {"metadata": {"name": "wrong"}, "spec": RAY_JOB["spec"] | {"backoffLimit": "often"}}
    with pytest.raises(RefusedError, match=r"spec\.backoffLimit.*integer") as refused:
        admin.create(wrong, namespace)
    assert refused.value.code == 422


def test_a_job_becomes_a_process_with_its_files_its_token_and_its_log(
    admin: Api, namespace: str, kubelet: TinyKubelet
) -> None:
    files = {"job.yaml": "workflow: extract\n"}
    admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "job"}, "data": files}, namespace)
    admin.create(job(LOOK_AROUND), namespace)
    assert outcome(admin, "once", namespace) == "Complete", kubelet.troubles
    lines = log_of(admin, "once", namespace).splitlines()
    assert lines[:2] == [f"hello {namespace}", "workflow: extract"]
    assert int(lines[2]) > 500  # a signed token


def test_a_process_that_fails_fails_its_job(admin: Api, namespace: str, kubelet: TinyKubelet) -> None:
    admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "job"}, "data": {}}, namespace)
    admin.create(job("exit 3"), namespace)
    assert outcome(admin, "once", namespace) == "Failed", kubelet.troubles
    (pod,) = admin.list("v1", "Pod", namespace, labelSelector="job-name=once")
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3
