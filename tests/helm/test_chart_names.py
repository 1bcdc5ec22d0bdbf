"""Names: two releases in one namespace share none, whatever they are called, and KubeRay takes every one of them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from rendered_chart import CHART, NIGHTLY, ONCE, merged, problems, refusal, rendered
from tools import tool

DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LONGEST = "a" * 53  # of a release, says helm
LONGEST_SUFFIX = (
    "-1764028800-r"  # behind a CronJob's name: the second its Job was due (until 1.21), and a run's own letter
)

CHART_OF_NAMES = """apiVersion: v2
name: soundquarry
version: 0.1.0
"""
LIST_OF_NAMES = """names:
{{- range .Values.releases }}
  - {{ include "soundquarry.fullname" (dict "Release" (dict "Name" .) "Chart" $.Chart "Values" dict) }}
{{- end }}
"""


def full_names(releases: list[str], folder: Path) -> list[str]:
    """The names of these releases, all by one call of helm."""
    templates = folder / "templates"
    templates.mkdir(parents=True, exist_ok=True)
    shutil.copy(CHART / "templates" / "_helpers.tpl", templates)
    (folder / "Chart.yaml").write_text(CHART_OF_NAMES)
    (templates / "names.yaml").write_text(LIST_OF_NAMES)
    command = [tool("helm"), "template", "names", folder, "--values", "-"]
    values = json.dumps({"releases": releases})
    done = subprocess.run(command, input=values, capture_output=True, text=True, check=True)
    return re.findall(r"^  - (.*)$", done.stdout, re.MULTILINE)


def test_a_release_called_as_the_program_does_not_say_it_twice() -> None:
    assert rendered().one("ServiceAccount")["metadata"]["name"] == "talks-soundquarry"
    assert rendered(release="soundquarry").one("ServiceAccount")["metadata"]["name"] == "soundquarry"


def test_any_two_releases_have_two_names_that_are_dns_labels(tmp_path: Path) -> None:
    part = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?", fullmatch=True)
    release = st.lists(part, min_size=1, max_size=3).map(".".join).filter(lambda name: len(name) <= 53)
    crowd = st.lists(release, min_size=40, max_size=60, unique=True)

    @settings(max_examples=3, deadline=None, database=None, derandomize=True)
    @given(crowd)
    def check(releases: list[str]) -> None:
        names = full_names(releases, tmp_path)
        assert len(set(names)) == len(names) == len(releases)
        assert all(len(name) <= 34 and DNS_1035.fullmatch(name) for name in names)

    check()


def test_names_that_look_alike_stay_two(tmp_path: Path) -> None:
    alike = ["a.b", "a-b", "1a", "sq-1a", LONGEST, LONGEST[:-1], LONGEST[:-1] + "b", "soundquarry", "a-soundquarry"]
    assert len(set(full_names(alike, tmp_path))) == len(alike)


def test_a_short_name_stays_as_it_is(tmp_path: Path) -> None:
    assert full_names(["talks", "a-b", "a" * 22], tmp_path) == [
        "talks-soundquarry",
        "a-b-soundquarry",
        "a" * 22 + "-soundquarry",
    ]


def test_a_long_release_keeps_its_beginning_and_every_name_within_the_limits() -> None:
    for values in (ONCE, NIGHTLY, merged(NIGHTLY, {"schedule": {"kind": "RayCronJob"}})):
        release = rendered(values, release=LONGEST)
        assert all(problems(found) == [] for found in release.objects)
        for kind, name in release.names:
            limit = {"RayJob": 47, "RayCronJob": 36, "CronJob": 52}.get(kind, 63)
            assert len(name) <= limit, (kind, name)
            assert name.startswith(LONGEST[:23])


def test_the_run_of_a_cronjob_has_a_name_that_kuberay_takes() -> None:
    name = rendered(NIGHTLY, release=LONGEST).one("CronJob")["metadata"]["name"]
    assert len(name + LONGEST_SUFFIX) <= 47
    assert DNS_1035.fullmatch(name + LONGEST_SUFFIX)


def test_the_runs_of_a_raycronjob_have_names_that_kuberay_takes() -> None:
    values = merged(NIGHTLY, {"schedule": {"kind": "RayCronJob"}})
    name = rendered(values, release=LONGEST).one("RayCronJob")["metadata"]["name"]
    assert len(f"{name}-29400480") <= 47


def test_a_release_in_unicode_or_capitals_is_refused() -> None:
    assert 'the release is called "klänge": give it a name of a to z' in refusal({}, release="klänge")
    assert "invalid release name" in refusal({}, release="Talks") or 'called "Talks"' in refusal({}, release="Talks")


def test_two_releases_share_no_object() -> None:
    for values in (ONCE, NIGHTLY):
        one, other = rendered(values, release="talks"), rendered(values, release="talks-2")
        assert not one.names & other.names
    names = [rendered(ONCE, release=name).names for name in ("talks", "soundquarry", "soundquarry-job", "talks-job")]
    assert sum(len(found) for found in names) == len(set().union(*names))


def test_no_selector_of_one_release_finds_pods_of_another() -> None:
    values = merged(NIGHTLY, {"autoscaling": {"enabled": True}})
    one, other = rendered(values, release="talks"), rendered(values, release="talks-2")
    policies = one.all("NetworkPolicy")
    assert len(policies) == 2
    for policy in policies:
        wanted = policy["spec"]["podSelector"]["matchLabels"].items()
        assert all(wanted <= pod["metadata"]["labels"].items() for pod in one.pods.values())
        assert not any(wanted <= pod["metadata"]["labels"].items() for pod in other.pods.values())


def test_given_names_are_used_as_they_are() -> None:
    assert rendered({"fullnameOverride": "stems"}).one("ServiceAccount")["metadata"]["name"] == "stems"
    assert rendered({"nameOverride": "stems"}).one("ServiceAccount")["metadata"]["name"] == "talks-stems"
    labels = rendered({"nameOverride": "stems"}).one("ServiceAccount")["metadata"]["labels"]
    assert labels["app.kubernetes.io/name"] == "soundquarry"


def test_names_that_yaml_takes_for_numbers_or_switches_stay_names() -> None:
    values = merged(
        NIGHTLY,
        {
            "image": {"pullSecrets": ["1"]},
            "serviceAccount": {"name": "2"},
            "head": {"priorityClassName": "3"},
            "scratch": {"kind": "ephemeral", "storageClass": "4"},
            "models": {"kind": "existingClaim", "claim": "5", "pull": ["clapsep"]},
            "networkPolicy": {"operatorNamespace": "6", "monitoringNamespace": "null"},
            "kueue": {"queueName": "true"},
        },
    )
    release = rendered(values, release="2026")
    for found in [*release.objects, merged(release.template, {"metadata": {"name": "a"}})]:
        assert problems(found) == [], found["kind"]


def test_another_job_is_another_run_and_the_same_one_is_none() -> None:
    name = rendered(ONCE).one("RayJob")["metadata"]["name"]
    assert re.fullmatch(r"talks-soundquarry-[0-9a-f]{10}", name)
    for change in (
        {"monitoring": {"pushgateway": {"url": "http://gateway:9091"}, "metricsPort": 9100}},
        {"run": {"ttlSecondsAfterFinished": 60, "activeDeadlineSeconds": 72000, "backoffLimit": 0}},
        {"image": {"pullPolicy": "Always", "pullSecrets": ["pull"]}},
        {"workers": {"cpu": {"replicas": 2}}, "networkPolicy": {"enabled": False}},
    ):
        assert rendered(merged(ONCE, change)).one("RayJob")["metadata"]["name"] == name, change
    for change in (
        {"job": {"threshold": 0.4}},
        {"job": {"catalog": "catalog.yaml"}, "catalog": ["rain"]},
        {"files": {"clips.csv": "uri\n"}},
        {"image": {"tag": "0.2.0"}},
    ):
        assert rendered(merged(ONCE, change)).one("RayJob")["metadata"]["name"] != name, change
