"""The checks of custom resources themselves: each keyword refuses what it should; KubeRay's definitions are read."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from crd_schema import CustomResource, custom_resource, kuberay

SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True,
                 "pattern": "^[0-9]+(Mi|Gi)?$"},
        "count": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 9, "default": 3},
        "share": {"type": "number"},
        "mode": {"type": "string", "enum": ["a", "b"]},
        "since": {"type": "string", "format": "date-time", "nullable": True},
        "short": {"type": "string", "minLength": 1, "maxLength": 3},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "ports": {"type": "array", "maxItems": 2, "x-kubernetes-list-type": "map",
                  "x-kubernetes-list-map-keys": ["port", "protocol"],
                  "items": {"type": "object", "required": ["port", "protocol"], "properties": {
                      "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"},
                      "fixed": {"type": "string", "x-kubernetes-validations": [
                          {"rule": "self == oldSelf", "message": "fixed stays"}]}}}},
        "names": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "either": {"type": "object", "properties": {"x": {"type": "boolean"}, "y": {"type": "boolean"}},
                   "x-kubernetes-validations": [{"rule": "has(self.x) != has(self.y)", "message": "x or y"}]},
        "template": {"type": "object", "properties": {"metadata": {"type": "object", "properties": {
            "labels": {"type": "object", "additionalProperties": {"type": "string"}}}}}},
    },
}  # fmt: skip


def resource(spec: dict[str, Any] = SPEC) -> CustomResource:
    properties = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
                  "spec": spec}  # fmt: skip
    version = {"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}}}
    names = {"kind": "Thing", "plural": "things"}
    return custom_resource(yaml.safe_dump({"spec": {"group": "example.org", "names": names, "versions": [version]}}))


def thing(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {"size": 1, **spec}}


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"size": "20Gi"},
        {"count": 9, "share": 1, "mode": "a", "since": None, "short": "abc"},
        {"share": 0.5, "since": "2026-01-31T09:00:00Z", "labels": {"any": "thing"}},
        {"free": {"any": {"thing": [1, None]}}},
        {"ports": [{"port": 1}, {"port": 1, "protocol": "UDP"}], "names": ["a", "b"]},
        {"either": {"x": True}, "template": {"metadata": {"labels": {"example.org/a": "b"}}}},
    ],
)
def test_what_the_schema_allows_has_no_problems(spec: dict[str, Any]) -> None:
    assert resource().problems(thing(**spec)) == []


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"sise": 1}, "spec.sise: unknown field"),
        ({"size": 1.5}, "spec.size: 1.5 is no integer or string"),
        ({"size": True}, "spec.size: True is no integer or string"),
        ({"size": "much"}, "spec.size: 'much' does not match ^[0-9]+(Mi|Gi)?$"),
        ({"count": "3"}, "spec.count: '3' is no integer"),
        ({"count": 0}, "spec.count: 0 is less than 1"),
        ({"count": 10}, "spec.count: 10 is more than 9"),
        ({"count": None}, "spec.count: null is not allowed"),
        ({"mode": "c"}, "spec.mode: 'c' is not one of ['a', 'b']"),
        ({"since": "yesterday"}, "spec.since: 'yesterday' is no time such as 2026-01-31T09:00:00Z"),
        ({"short": ""}, "spec.short: minLength is 1, found 0"),
        ({"short": "abcd"}, "spec.short: maxLength is 3, found 4"),
        ({"labels": {"a": 1}}, "spec.labels.a: 1 is no string"),
        ({"ports": [{}]}, "spec.ports[0].port is required"),
        ({"ports": [{"port": 1}, {"port": 1}]}, "spec.ports[1]: (1, 'TCP') is there already"),
        ({"ports": [{"port": 1}, {"port": 2}, {"port": 3}]}, "spec.ports: maxItems is 2, found 3"),
        ({"names": ["a", "a"]}, "spec.names[1]: 'a' is there already"),
        ({"either": {}}, "spec.either: x or y"),
        ({"either": {"x": True, "y": True}}, "spec.either: x or y"),
        (
            {"template": {"metadata": {"labels": {"a": "b c"}}}},
            "spec.template.metadata.labels.a: 'b c' is no label value of at most 63 characters",
        ),
    ],
)
def test_each_slip_is_one_problem_with_its_path(spec: dict[str, Any], problem: str) -> None:
    assert resource().problems(thing(**spec)) == [problem]


def test_a_number_must_fit_in_its_bits() -> None:
    spec = {"type": "object", "properties": {"size": {"type": "integer"}, "n": {"type": "integer", "format": "int32"}}}
    assert resource(spec).problems(thing(n=2**31 - 1)) == []
    assert resource(spec).problems(thing(n=2**31)) == ["spec.n: 2147483648 does not fit in int32"]


def test_a_required_field_and_the_wrong_kind_are_told() -> None:
    wrong = {"apiVersion": "example.org/v2", "kind": "Thing", "metadata": {"name": "t"}, "spec": {}}
    assert resource().problems(wrong) == [
        "apiVersion and kind: not example.org/v1 Thing",
        "spec.size is required",
    ]
    with pytest.raises(AssertionError, match=r"Thing: apiVersion and kind.*; spec.size is required"):
        resource().check(wrong)


@pytest.mark.parametrize(
    ("meta", "problem"),
    [
        ({}, "metadata: name or generateName is required"),
        ({"name": "Großes_Archiv"}, "is no DNS-1123 subdomain"),
        ({"name": "x" * 254}, "is no DNS-1123 subdomain of at most 253 characters"),
        ({"name": "x", "labels": {"a": "x" * 64}}, "is no label value of at most 63 characters"),
        ({"name": "x", "labels": {"a/b/c": "d"}}, "metadata.labels: 'a/b/c' is no qualified name"),
        ({"name": "x", "labels": {"a": 1}}, "1 is not of type 'string'"),
        ({"name": "x", "labeles": {}}, "'labeles' was unexpected"),
        ({"name": "x", "annotations": {"a": "b" * 2**18}}, "metadata.annotations: 262145 bytes, at most 262144"),
    ],
)
def test_metadata_is_checked_as_a_server_does(meta: dict[str, Any], problem: str) -> None:
    (found,) = resource().problems({**thing(), "metadata": meta})
    assert problem in found


def test_rules_about_changes_look_at_what_was_there_before() -> None:
    before = thing(ports=[{"port": 1, "protocol": "TCP", "fixed": "a"}, {"port": 2, "protocol": "TCP", "fixed": "b"}])
    swapped = thing(ports=[{"port": 2, "fixed": "b"}, {"port": 1, "fixed": "a"}])
    assert resource().problems(swapped, before) == []
    changed = thing(ports=[{"port": 2, "fixed": "a"}])
    assert resource().problems(changed) == []
    assert resource().problems(changed, before) == ["spec.ports[0].fixed: fixed stays"]


def test_defaults_are_filled_in_and_the_manifest_is_left_alone() -> None:
    given = thing(ports=[{"port": 1}])
    assert resource().defaulted(given)["spec"] == {"size": 1, "count": 3, "ports": [{"port": 1, "protocol": "TCP"}]}
    assert given == thing(ports=[{"port": 1}])


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "object", "properties": {"a": {"type": "string", "not": {"enum": ["b"]}}}},
        {"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}]}}},
        {"type": "object", "x-kubernetes-validations": [{"rule": "true", "messageExpression": "'x'"}]},
    ],
)
def test_a_keyword_that_is_not_understood_is_an_error_and_not_passed_over(spec: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is not understood"):
        resource(spec)


def ray_job(**spec: Any) -> dict[str, Any]:
    pod = {"spec": {"containers": [{"name": "ray", "image": "example.org/soundquarry:1"}]}}
    head = {"rayStartParams": {}, "template": pod}
    workers = {"groupName": "gpu", "minReplicas": 0, "maxReplicas": 2, "rayStartParams": {}, "template": pod}
    cluster = {"headGroupSpec": head, "workerGroupSpecs": [workers]}
    job = {"entrypoint": "soundquarry run /etc/soundquarry/job.yaml", "rayClusterSpec": cluster, **spec}
    return {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": {"name": "job"}, "spec": job}


def test_a_ray_job_is_checked_by_kuberays_own_definition() -> None:
    definition = kuberay("RayJob")
    definition.check(ray_job(shutdownAfterJobFinishes=True, ttlSecondsAfterFinished=60))
    assert definition.problems(ray_job(ttlSecondsAfterFinish=60)) == ["spec.ttlSecondsAfterFinish: unknown field"]
    assert definition.problems(ray_job(preRunningDeadlineSeconds=0)) == [
        "spec.preRunningDeadlineSeconds: 0 is less than 1"
    ]
    assert definition.problems(ray_job(managedBy="me")) == [
        "spec.managedBy: the managedBy field value must be either 'ray.io/kuberay-operator' or "
        "'kueue.x-k8s.io/multikueue'"
    ]
    assert definition.problems(ray_job(deletionStrategy={"onSuccess": {}})) == [
        "spec.deletionStrategy: deletionStrategy requires either BOTH onSuccess and onFailure, OR the deletionRules "
        "field (cannot be empty)"
    ]
    lacking = ray_job()
    del lacking["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["groupName"]
    assert definition.problems(lacking) == ["spec.rayClusterSpec.workerGroupSpecs[0].groupName is required"]
    before = ray_job(managedBy="ray.io/kuberay-operator")
    assert definition.problems(ray_job(managedBy="kueue.x-k8s.io/multikueue"), before) == [
        "spec.managedBy: the managedBy field is immutable"
    ]


@pytest.mark.parametrize("kind", ["RayJob", "RayCluster", "RayCronJob"])
def test_every_keyword_of_kuberays_definitions_is_understood(kind: str) -> None:
    assert kuberay(kind).api_version == "ray.io/v1"
