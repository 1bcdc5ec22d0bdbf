"""What is in the way of a pod becomes a sentence or two: no node, no image, something missing, too little memory."""

from __future__ import annotations

import pytest
from kuberay_operator import KubeRay
from kubernetes_api import KubernetesApi
from submitted_jobs import message, with_talks


@pytest.fixture
def kuberay(api: KubernetesApi) -> KubeRay:
    return with_talks(api)


GPU = {"limits": {"nvidia.com/gpu": "1"}}
NODES = "0/4 nodes are available: "


@pytest.mark.parametrize(
    ("scheduler", "said"),
    [
        (
            "4 Insufficient nvidia.com/gpu. preemption: 0/4 nodes are available: 4 No preemption victims found.",
            "no node has 1 free nvidia.com/gpu: add GPU nodes or wait for some, look whether the device plugin runs on "
            "them, or lower workers.gpu.gpus",
        ),
        ("4 Insufficient cpu.", "no node has 6 cpu free: lower workers.gpu.resources, or add larger nodes"),
        ("4 Insufficient memory.", "no node has enough memory free: lower workers.gpu.resources, or add larger nodes"),
        (
            "4 node(s) had untolerated taint {nvidia.com/gpu: present}.",
            "nodes are kept for others by the taint {nvidia.com/gpu: present} (to be let in: workers.gpu.tolerations)",
        ),
        (
            "4 node(s) had taint {nvidia.com/gpu: present}, that the pod didn't tolerate.",  # as 1.20 says it
            "nodes are kept for others by the taint {nvidia.com/gpu: present} (to be let in: workers.gpu.tolerations)",
        ),
        (
            "4 node(s) didn't match Pod's node affinity/selector.",
            "nodes lack the labels that workers.gpu.nodeSelector or affinity want (pool=a100)",
        ),
        (
            "4 node(s) didn't match node selector.",
            "nodes lack the labels that workers.gpu.nodeSelector or affinity want (pool=a100)",
        ),
        (
            "4 node(s) didn't match pod topology spread constraints.",
            "workers.gpu.topologySpreadConstraints leave no node",
        ),
        (
            "pod has unbound immediate PersistentVolumeClaims.",
            "the volume claim scratch is not bound to a volume here: see `kubectl describe pvc -n media`, and check "
            "the storage class (scratch.storageClass)",
        ),
        (
            'persistentvolumeclaim "scratch" not found.',
            "PersistentVolumeClaim scratch is not in namespace media: create it there, or correct its name in the "
            "chart's values",
        ),
        ("4 Too many pods.", "0/4 nodes are available: 4 Too many pods"),
    ],
)
def test_what_keeps_a_pod_from_a_node_is_told(kuberay: KubeRay, scheduler: str, said: str) -> None:
    kuberay.worker(
        "talks", unschedulable=NODES + scheduler, nodeSelector={"pool": "a100"},
        resources={**GPU, "requests": {"cpu": "6"}},
        volumes=[{"name": "scratch", "persistentVolumeClaim": {"claimName": "scratch"}}],
    )  # fmt: skip
    assert message() == f"pod talks-a1-gpu-worker-0 (workers.gpu) finds no node: {said}"


def test_all_reasons_of_the_scheduler_are_told_in_one_sentence(kuberay: KubeRay) -> None:
    both = f"{NODES}1 Insufficient nvidia.com/gpu, 3 node(s) had untolerated taint {{dedicated: db}}."
    kuberay.worker("talks", unschedulable=both, resources=GPU)
    assert "no node has 1 free nvidia.com/gpu" in message()
    assert "; nodes are kept for others by the taint {dedicated: db}" in message()


def test_a_submitter_without_a_node_is_told(kuberay: KubeRay) -> None:
    requests = {"requests": {"cpu": "500m"}}
    kuberay.submitter("talks", unschedulable=f"{NODES}4 Insufficient cpu.", resources=requests)
    assert message() == (
        "pod talks-x7k2p (smallPods) finds no node: no node has 500m cpu free: add a node, or allow others "
        "(smallPods.nodeSelector)"
    )


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"])
def test_an_image_that_cannot_be_pulled_is_told_with_its_name(kuberay: KubeRay, reason: str) -> None:
    why = 'Back-off pulling image "example.org/soundquarry:1": pull access denied'
    kuberay.head("talks", state={"waiting": {"reason": reason, "message": why}})
    assert message() == (
        f"the image example.org/soundquarry:1 for pod talks-a1-head (head) cannot be pulled: {why}. Check "
        "image.repository and image.tag in the chart's values, and image.pullSecrets for a private registry"
    )


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ('secret "s3" not found', "Secret s3 is not in namespace media: create it there, or correct its name in the"),
        ('configmap "env" not found', "ConfigMap env is not in namespace media: create it there, or correct its name"),
        (
            "couldn't find key SECRET in Secret media/s3",
            "Secret s3 has no key SECRET: add it, or correct the key in the",
        ),
        ("container has runAsNonRoot and image will run as root", "container has runAsNonRoot and image will run as"),
    ],
)
def test_a_container_that_lacks_something_is_told_what(kuberay: KubeRay, why: str, said: str) -> None:
    kuberay.worker("talks", state={"waiting": {"reason": "CreateContainerConfigError", "message": why}})
    start = "container ray-worker of pod talks-a1-gpu-worker-0 (workers.gpu) cannot be made: "
    assert message().startswith(start + said)


def test_a_container_that_was_killed_for_its_memory_is_told_with_its_limit(kuberay: KubeRay) -> None:
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    limit = {"limits": {"memory": "16Gi"}}
    kuberay.worker("talks", state=ended, resources=limit)
    said = (
        "container ray-worker of pod talks-a1-gpu-worker-0 (workers.gpu) was killed because it used more than its "
        "memory limit (16Gi): raise workers.gpu.resources, and run `helm upgrade`"
    )
    assert message() == said
    kuberay.worker("talks", state={"waiting": {"reason": "CrashLoopBackOff"}}, last=ended, resources=limit)
    assert message() == said


def test_a_container_that_ends_again_and_again_is_told_with_its_exit_code(kuberay: KubeRay) -> None:
    ended = {"terminated": {"exitCode": 127, "reason": "Error"}}
    kuberay.head("talks", state={"waiting": {"reason": "CrashLoopBackOff"}}, last=ended)
    assert "(head) ends right after it starts (exit code 127): see `kubectl logs -n media talks-a1-head" in message()


def test_an_evicted_pod_is_told(kuberay: KubeRay, api: KubernetesApi) -> None:
    pod = api.get("pods", kuberay.worker("talks"))
    pod["status"].update(phase="Failed", reason="Evicted", message="The node was low on resource: ephemeral-storage.")
    api.put("pods", pod)
    assert "pod talks-a1-gpu-worker-0 was evicted from its node: The node was low on" in message()
