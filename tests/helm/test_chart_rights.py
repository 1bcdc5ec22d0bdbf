"""What pods may do: on the node, at the API server, on the network. Every one of them, whatever the values."""

from __future__ import annotations

from typing import Any

import pytest
from rendered_chart import NIGHTLY, Object, merged, rendered

EVERYTHING = merged(
    NIGHTLY,
    {
        "autoscaling": {"enabled": True},
        "workers": {"gpu": {"enabled": True}},
        "models": {"kind": "existingClaim", "claim": "models", "pull": ["clapsep"]},
        "scratch": {"kind": "existingClaim", "claim": "scratch"},
        "monitoring": {"pushgateway": {"url": "http://pushgateway:9091"}},
    },
)
PODS = ("head", "cpu", "gpu", "submitter", "schedule", "models", "doctor")
RESTRICTED_VOLUMES = {"configMap", "emptyDir", "ephemeral", "persistentVolumeClaim", "secret"}


def egress_ports(policy: Object) -> set[int]:
    return {port["port"] for rule in policy["spec"]["egress"] for port in rule.get("ports", [])}


def ingress(policy: Object) -> list[tuple[Any, set[int]]]:
    return [(rule["from"][0], {port["port"] for port in rule.get("ports", [])}) for rule in policy["spec"]["ingress"]]


def test_these_are_all_pods() -> None:
    assert set(rendered(EVERYTHING).pods) == set(PODS)


@pytest.mark.parametrize("name", PODS)
def test_a_pod_passes_the_restricted_standard_and_writes_to_volumes_only(name: str) -> None:
    spec = rendered(EVERYTHING).pods[name]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    for container in spec["containers"] + spec.get("initContainers", []):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}
        assert "memory" in container["resources"]["limits"]
    for volume in spec["volumes"]:
        assert set(volume) - {"name"} <= RESTRICTED_VOLUMES


def test_the_autoscaler_that_kuberay_adds_is_as_restricted() -> None:
    options = rendered(EVERYTHING).template["spec"]["rayClusterSpec"]["autoscalerOptions"]
    assert options["securityContext"]["readOnlyRootFilesystem"] is True
    assert options["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert options["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]


def test_whom_the_cluster_chooses_runs_where_no_user_is_named() -> None:
    values = merged(EVERYTHING, {"podSecurity": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}})
    for pod in rendered(values).pods.values():
        assert not {"runAsUser", "runAsGroup", "fsGroup"} & pod["spec"]["securityContext"].keys()
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True


def test_only_who_talks_to_the_api_server_holds_a_token() -> None:
    def holders(values: dict[str, Any]) -> set[str]:
        pods = rendered(values).pods
        return {name for name, pod in pods.items() if pod["spec"]["automountServiceAccountToken"]}

    assert holders(EVERYTHING) == {"schedule", "head"}
    assert holders(merged(EVERYTHING, {"autoscaling": {"enabled": False}})) == {"schedule"}
    assert holders({}) == set()
    for account in rendered(EVERYTHING).all("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_the_submitting_account_can_do_its_work_and_nothing_else() -> None:
    release = rendered(EVERYTHING)
    assert release.one("Role")["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": ["talks-soundquarry-template", "talks-soundquarry-job"],
            "verbs": ["get"],
        },
        {"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create", "get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    ]
    binding = release.one("RoleBinding")
    assert binding["roleRef"]["name"] == release.one("Role")["metadata"]["name"]
    (subject,) = binding["subjects"]
    assert subject == {"kind": "ServiceAccount", "name": "talks-soundquarry-submit", "namespace": "media"}
    assert release.pods["schedule"]["spec"]["serviceAccountName"] == subject["name"]
    assert [name for name, pod in release.pods.items() if pod["spec"].get("serviceAccountName") == subject["name"]] == [
        "schedule"
    ]


def test_nothing_is_bound_to_the_account_of_head_and_workers_and_nothing_is_cluster_wide() -> None:
    kinds = {kind for kind, _ in rendered(EVERYTHING).names}
    assert not {"ClusterRole", "ClusterRoleBinding"} & kinds
    assert len(rendered(EVERYTHING).all("RoleBinding")) == 1
    assert {"Role", "RoleBinding"}.isdisjoint(kind for kind, _ in rendered({}).names)


def test_without_rbac_the_account_stays_and_the_role_does_not() -> None:
    release = rendered(merged(NIGHTLY, {"rbac": {"create": False}}))
    assert release.one("ServiceAccount", "-submit")
    assert {"Role", "RoleBinding"}.isdisjoint(kind for kind, _ in release.names)


def test_the_account_of_head_and_workers_is_made_given_or_the_default_one() -> None:
    annotated = rendered({"serviceAccount": {"annotations": {"a.example/role": "reader"}}})
    assert annotated.one("ServiceAccount")["metadata"]["annotations"] == {"a.example/role": "reader"}
    for values, name in (
        ({}, "talks-soundquarry"),
        ({"create": True, "name": "media"}, "media"),
        ({"create": False, "name": "media"}, "media"),
        ({"create": False}, "default"),
    ):
        release = rendered({"serviceAccount": values})
        assert {pod["spec"]["serviceAccountName"] for pod in release.pods.values()} == {name}
        made = [account["metadata"]["name"] for account in release.all("ServiceAccount")]
        assert made == ([name] if values.get("create", True) else [])


def test_secrets_are_referred_to_and_never_made() -> None:
    assert not rendered(merged(EVERYTHING, {"envFrom": [{"secretRef": {"name": "bucket"}}]})).all("Secret")


def test_pods_talk_to_each_other_to_dns_and_to_stores() -> None:
    policy = rendered({}).one("NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert egress_ports(policy) == {53, 443}
    own = {"matchLabels": {"app.kubernetes.io/name": "soundquarry", "app.kubernetes.io/instance": "talks"}}
    assert policy["spec"]["podSelector"] == own
    assert policy["spec"]["egress"][0] == {"to": [{"podSelector": own}]}
    assert policy["spec"]["ingress"][0] == {"from": [{"podSelector": own}]}


def test_the_operator_may_ask_and_prometheus_may_read_and_nobody_else() -> None:
    operator = {"matchLabels": {"app.kubernetes.io/name": "kuberay-operator"}}
    prometheus = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    _, *others = ingress(rendered({}).one("NetworkPolicy"))
    assert others == [
        ({"podSelector": operator, "namespaceSelector": {}}, {8265}),
        (prometheus, {8080, 8099}),
    ]
    narrow = {"operatorNamespace": "kuberay", "monitoringNamespace": ""}
    _, *others = ingress(rendered({"networkPolicy": narrow}).one("NetworkPolicy"))
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": "kuberay"}}
    assert others == [({"podSelector": operator, "namespaceSelector": namespace}, {8265})]


def test_stores_can_be_narrowed_to_networks_and_other_ports() -> None:
    values = {"networkPolicy": {"egressPorts": [443, 9000], "egressCidrs": ["10.0.0.0/8"], "dnsPorts": [5353]}}
    policy = rendered(values).one("NetworkPolicy")
    assert egress_ports(policy) == {443, 9000, 5353}
    (stores,) = (
        rule for rule in policy["spec"]["egress"] if {"protocol": "TCP", "port": 9000} in rule.get("ports", [])
    )
    assert stores["to"] == [{"ipBlock": {"cidr": "10.0.0.0/8"}}]


@pytest.mark.parametrize(
    ("url", "port"), [("http://gateway:9091", 9091), ("https://gateway/push", 443), ("http://gateway", 80)]
)
def test_the_pushgateway_can_be_reached(url: str, port: int) -> None:
    policy = rendered({"monitoring": {"pushgateway": {"url": url}}}).one("NetworkPolicy")
    assert egress_ports(policy) == {53, 443, port}


def test_only_who_talks_to_the_api_server_reaches_it() -> None:
    def reach(values: dict[str, Any]) -> list[str]:
        policy = rendered(values).one("NetworkPolicy", "-api")
        assert egress_ports(policy) == {443, 6443}
        (expression,) = policy["spec"]["podSelector"]["matchExpressions"]
        return list(expression["values"])

    assert reach(EVERYTHING) == ["schedule", "head"]
    assert reach(NIGHTLY) == ["schedule"]
    assert len(rendered({}).all("NetworkPolicy")) == 1
    assert not rendered(merged(EVERYTHING, {"networkPolicy": {"enabled": False}})).all("NetworkPolicy")


def test_helm_test_runs_the_doctor_with_the_models_of_the_release() -> None:
    release = rendered(EVERYTHING)
    (container,) = release.pods["doctor"]["spec"]["containers"]
    assert container["args"] == ["doctor"]
    assert container["env"] == [{"name": "SOUNDQUARRY_MODELS", "value": "/models"}]
    annotations = release.one("Pod")["metadata"]["annotations"]
    assert annotations["helm.sh/hook"] == "test"
    assert "hook-succeeded" not in annotations["helm.sh/hook-delete-policy"], "helm test --logs reads it afterwards"
    assert not rendered({"tests": {"enabled": False}}).all("Pod")
