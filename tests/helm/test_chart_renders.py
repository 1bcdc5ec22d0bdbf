"""The chart with every example and with values of all kinds: helm takes them, and an API server takes what it makes."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations, islice
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from kuberay_rules import operator_problems
from rendered_chart import CHART, EXAMPLES, JOB, KUBERNETES, TRAINING, lint, merged, problems, rendered

SCHEDULE: Final = {"cron": "30 1 * * 1-5", "timeZone": "Europe/Vienna"}
CLOUD: Final = {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/media"}
DIMENSIONS: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "mode": {
        "submit": {},
        "once": {"mode": "once"},
        "nightly": {"mode": "scheduled", "schedule": SCHEDULE},
        "nightly by KubeRay": {"mode": "scheduled", "schedule": {"kind": "RayCronJob", **SCHEDULE}},
    },
    "workflow": {
        "extract": {"job": JOB},
        "mine with a catalog": {
            "job": {**JOB, "workflow": "mine", "catalog": "catalog.yaml"},
            "catalog": {"name": "ours", "queries": [{"id": "bell", "text": ["a bell", "Glockengeläut"]}]},
            "files": {"clips.csv": "uri,start\ns3://archive/a.wav,1.5\n"},
        },
        "evaluate": {"job": {"workflow": "evaluate", "list_csv": "list.csv", "root": "s3://sounds"}},
        "train by a recipe of its own": {
            "job": {
                **TRAINING,
                "recipe": "recipe.yaml",
                "set": ["mixtures.batch=8"],
                "held_out": "labels.txt",
                "without_licence": ["NC"],
                "mixers": 2,
            },
            "recipe": {"base": "supervised", "about": "Ours.", "schedule": {"steps": 100}},
            "files": {"labels.txt": "dog\n"},
        },
    },
    "workers": {
        "cpu": {},
        "gpu": {"workers": {"cpu": {"enabled": False}, "gpu": {"enabled": True, "gpus": 4}}},
        "both": {"workers": {"cpu": {"replicas": 3}, "gpu": {"enabled": True}}},
        "the head alone": {"workers": {"cpu": {"enabled": False}}, "ray": {"rayStartParams": {"num-cpus": "4"}}},
    },
    "scaling": {
        "fixed": {},
        "autoscaling": {
            "autoscaling": {"enabled": True, "upscalingMode": "Conservative"},
            "workers": {"gpu": {"idleTimeoutSeconds": 30}},
        },
    },
    "submitting": {mode: {"run": {"submissionMode": mode}} for mode in ("K8sJobMode", "HTTPMode", "SidecarMode")},
    "ending": {
        "as usual": {},
        "limits": {"run": {"activeDeadlineSeconds": 1_000_000, "backoffLimit": 0, "suspend": True}},
        "kept": {"run": {"shutdownAfterJobFinishes": False, "ttlSecondsAfterFinished": 0}},
    },
    "queue": {"none": {}, "kueue": {"kueue": {"queueName": "media", "elasticJobs": True}}},
    "scratch": {
        "the node's disk": {},
        "a claim a pod": {"scratch": {"kind": "ephemeral", "size": "1Ti", "storageClass": "fast"}},
        "one claim": {"scratch": {"kind": "existingClaim", "claim": "scratch"}},
    },
    "models": {
        "in the image": {},
        "on a claim": {"models": {"kind": "existingClaim", "claim": "models"}},
        "pulled": {"models": {"kind": "existingClaim", "claim": "models", "pull": ["clapsep"]}},
    },
    "placing": {
        "anywhere": {},
        "told": {
            "head": {
                "nodeSelector": {"pool": "steady"},
                "priorityClassName": "high",
                "labels": {"team": "sound", "app.kubernetes.io/name": "mine"},
                "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
            },
            "workers": {
                "cpu": {
                    "tolerations": [{"key": "spot", "operator": "Exists"}],
                    "topologySpreadConstraints": [
                        {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
                    ],
                    "affinity": {"podAntiAffinity": {}},
                }
            },
        },
    },
    "rights": {
        "own account": {"serviceAccount": {"annotations": CLOUD}},
        "a given account": {"serviceAccount": {"create": False, "name": "media"}, "rbac": {"create": False}},
        "no account, any user": {
            "serviceAccount": {"create": False},
            "podSecurity": {"runAsUser": None, "runAsGroup": None, "fsGroup": None},
        },
    },
    "network": {
        "policy": {},
        "no policy": {"networkPolicy": {"enabled": False}},
        "narrow policy": {
            "networkPolicy": {
                "egressPorts": [443, 9000],
                "egressCidrs": ["10.0.0.0/8", "fd00::/8"],
                "operatorNamespace": "kuberay",
                "monitoringNamespace": "",
                "extraEgress": [{"to": [{"namespaceSelector": {}}]}],
                "extraIngress": [{"from": [{"podSelector": {}}]}],
            }
        },
    },
    "image": {
        "its tag": {"image": {"repository": "registry.example.com:5000/a/soundquarry", "pullSecrets": ["pull"]}},
        "its digest": {"image": {"digest": "sha256:" + 64 * "a", "pullPolicy": "Always"}},
    },
    "surroundings": {
        "plain": {},
        "much": {
            "ray": {"auth": "disabled", "env": {"RAY_LOG_TO_STDERR": "1"}},
            "env": [
                {"name": "AWS_ENDPOINT_URL", "value": "https://minio:9000"},
                {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "store", "key": "token"}}},
            ],
            "envFrom": [{"secretRef": {"name": "bucket"}}, {"configMapRef": {"name": "store", "optional": True}}],
            "volumes": [{"name": "archive", "persistentVolumeClaim": {"claimName": "archive", "readOnly": True}}],
            "volumeMounts": [{"name": "archive", "mountPath": "/archive", "readOnly": True}],
        },
    },
    "watching": {
        "the driver's port": {},
        "nothing": {"monitoring": {"metricsPort": None}, "tests": {"enabled": False}},
        "everything": {
            "monitoring": {
                "pushgateway": {"url": "http://pushgateway.monitoring:9091"},
                "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
                "rules": {"enabled": True},
                "dashboard": {"enabled": True},
                "gpuHourPrice": 1.25,
                "currency": "EUR",
            }
        },
    },
    "server": {"new": {}, "of 2020": {"kubernetes": "1.20.2"}, "of 2021": {"kubernetes": "1.21.0"}},
}
Choice = dict[str, str]
Pair = tuple[tuple[str, str], tuple[str, str]]
DRAWN: Final = 600
COMBINATIONS: Final = 44


def fits(choice: Choice) -> bool:
    """Whether the chart takes these together; that it refuses the others, test_wrong_values.py shows."""
    scales, queued = choice["scaling"] == "autoscaling", choice["queue"] == "kueue"
    return not (
        (scales and choice["workers"] == "the head alone")
        or (queued and choice["ending"] == "kept")
        or (queued and choice["mode"] == "nightly by KubeRay")
        or (choice["workflow"].startswith("train") and choice["mode"].startswith("nightly"))
    )


def choices() -> Iterator[Choice]:
    """Drawn with a fixed seed, the same ones each time."""
    drawn = random.Random(20)
    while True:
        choice = {name: drawn.choice(list(options)) for name, options in DIMENSIONS.items()}
        if fits(choice):
            yield choice


def pairs_of(choice: Choice) -> set[Pair]:
    """Every two options that meet in a choice."""
    return set(combinations(choice.items(), 2))


def covering(drawn: Iterable[Choice]) -> list[Choice]:
    """Few of them, in which all the options meet that meet in any: each time the one with most that is new."""
    left = [(choice, pairs_of(choice)) for choice in drawn]
    wanted = set[Pair]().union(*(pairs for _, pairs in left))
    chosen = []
    while wanted:
        best, met = max(left, key=lambda entry: len(entry[1] & wanted))
        chosen.append(best)
        wanted -= met
    return chosen


COVERING: Final = covering(islice(choices(), DRAWN))
"""Every two options that fit meet in one of these; with the next ones that are drawn they are the combinations."""
OTHERS: Final = [choice for choice in islice(choices(), DRAWN) if choice not in COVERING]
CHOICES: Final = [*COVERING, *OTHERS[: COMBINATIONS - len(COVERING)]]


def values_of(choice: Choice) -> tuple[dict[str, Any], str]:
    """The values of a choice, and the server's version."""
    values = merged(*(DIMENSIONS[name][option] for name, option in choice.items()))
    kubernetes = values.pop("kubernetes", KUBERNETES)
    if kubernetes != KUBERNETES and choice["mode"] == "nightly":
        values = merged(values, {"schedule": {"timeZone": ""}})  # such a server has no time zones
    return values, kubernetes


def check_all(values: Mapping[str, Any], kubernetes: str = KUBERNETES) -> None:
    release = rendered(values, kubernetes=kubernetes)
    assert len(release.names) == len(release.objects), "two objects of one kind have the same name"
    submitted = merged(release.template, {"metadata": {"name": "sq-extract-0123456789"}})
    for found in [*release.objects, submitted]:
        assert problems(found) + operator_problems(found) == [], f"{found['kind']} {found['metadata']['name']}"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_helm_and_the_api_server_take_every_example(example: Path) -> None:
    values = yaml.safe_load(example.read_text(encoding="utf-8"))
    assert lint(values) == ""
    check_all(values)


def test_helm_and_the_api_server_take_the_chart_as_it_is() -> None:
    assert lint({}) == ""
    check_all({})


@pytest.mark.parametrize("number", range(len(CHOICES)))
def test_helm_and_the_api_server_take_a_combination(number: int) -> None:
    values, kubernetes = values_of(CHOICES[number])
    assert lint(values) == "", CHOICES[number]
    check_all(values, kubernetes)


def test_every_two_options_that_fit_meet_in_a_combination() -> None:
    every = [(name, option) for name, options in DIMENSIONS.items() for option in options]
    pairs = {pair for pair in combinations(every, 2) if pair[0][0] != pair[1][0]}
    met = set[Pair]().union(*map(pairs_of, COVERING))
    assert met <= pairs
    assert len(pairs - met) <= 5  # those that do not fit together
    assert len(COVERING) < len(CHOICES) == COMBINATIONS
    assert {option for pair in met for option in pair} == set(every)


def test_a_slip_in_a_manifest_is_found_by_these_tests() -> None:
    (cron,) = rendered({"mode": "scheduled", "job": JOB, "schedule": {"cron": "0 2 * * *"}}).all("CronJob")
    assert problems(cron) == []
    assert problems(merged(cron, {"spec": {"timezone": "UTC"}}))
    job = merged(rendered({"mode": "once", "job": JOB}).one("RayJob"), {"spec": {"ttlSecondsAfterFinish": 3}})
    assert problems(job)


@pytest.mark.parametrize(
    ("slip", "words"),
    [
        ({"spec": {"shutdownAfterJobFinishes": False}}, "ttlSecondsAfterFinished without"),
        ({"spec": {"submissionMode": "SidecarMode"}}, "a submitter in SidecarMode"),
        ({"spec": {"rayClusterSpec": {"rayVersion": "2.51.0"}}}, "tokens with Ray 2.51.0"),
        ({"metadata": {"name": "a" * 48}}, "at most 47 characters"),
    ],
)
def test_what_only_the_operator_refuses_is_found_as_well(slip: dict[str, Any], words: str) -> None:
    job = merged(rendered({"mode": "once", "job": JOB}).one("RayJob"), slip)
    assert problems(job) == []
    assert words in " ".join(operator_problems(job))


def test_every_template_has_one_object_at_most() -> None:
    for path in (CHART / "templates").rglob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert sum(line.startswith("kind:") for line in text.splitlines()) <= 1, path
        assert "\n---" not in text, path
