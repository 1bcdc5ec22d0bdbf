"""What the chart says of itself agrees with what it is: versions, values, schema, notes."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml
from rendered_chart import CHART, EXAMPLES, NIGHTLY, ONCE, TRAINING, Rendered, merged, rendered

ROOT = Path(__file__).parents[2]
VALUES = (CHART / "values.yaml").read_text(encoding="utf-8")
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


def by_helm_4(values: Mapping[str, Any]) -> dict[str, str]:
    """The files of the release as the library of Helm 4 renders them."""
    with helm_python.Chart.load(CHART) as chart:
        files: dict[str, str] = chart.render(dict(values), name="talks", namespace="media")
    return files


def notes(values: Mapping[str, Any]) -> str:
    return by_helm_4(values)["soundquarry/templates/NOTES.txt"]


def objects_of_schema(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every object that the schema describes by its properties, with its path."""
    if "properties" in schema:
        yield path, schema
    below = {**schema.get("properties", {}), **({"[]": schema["items"]} if "items" in schema else {})}
    for name, child in below.items():
        yield from objects_of_schema(child, f"{path}.{name}")


def test_the_chart_has_the_version_of_the_program_and_of_its_ray() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert chart["appVersion"] == project["version"]
    (ray,) = (line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if line.startswith("ray=="))
    assert yaml.safe_load(VALUES)["ray"]["version"] == ray.removeprefix("ray==")


def test_schema_and_values_know_the_same_values() -> None:
    def below(schema: Mapping[str, Any], values: Mapping[str, Any], path: str) -> None:
        known = schema["properties"].keys() - ({"global"} if not path else set())
        assert known == values.keys(), path
        for name, child in schema["properties"].items():
            if "properties" in child and name != "global":
                below(child, values[name], f"{path}.{name}")

    below(SCHEMA, yaml.safe_load(VALUES), "")


def test_no_object_of_the_schema_takes_an_unknown_value() -> None:
    free = {"job", ".volumes.[]"}  # the job has a schema of its own; kinds of volumes are too many
    parts = {"": SCHEMA, **SCHEMA["$defs"]}
    found = [one for name, part in parts.items() for one in objects_of_schema(part, name)]
    assert len(found) > 30
    for path, schema in found:
        if path not in free and not path.startswith("job"):
            assert schema["additionalProperties"] is False, path


def test_the_schema_is_written_as_python_writes_it() -> None:
    """So that a part of it can be made anew without moving the rest."""
    text = (CHART / "values.schema.json").read_text(encoding="utf-8")
    assert text == json.dumps(SCHEMA, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_helm_4_renders_the_same_as_helm_3(example: Path) -> None:
    values = yaml.safe_load(example.read_text(encoding="utf-8"))
    files = {name: text for name, text in by_helm_4(values).items() if name.endswith(".yaml")}
    objects = [found for text in files.values() for found in yaml.safe_load_all(text) if found]
    ordered = Rendered(sorted(objects, key=lambda one: (one["kind"], one["metadata"]["name"])))
    others = sorted(rendered(values).objects, key=lambda one: (one["kind"], one["metadata"]["name"]))
    assert list(ordered.objects) == others


def test_helm_4_refuses_what_helm_3_refuses_and_names_it() -> None:
    with pytest.raises(Exception, match=r"at '/run/submissionMode': value must be one of 'K8sJobMode', 'HTTPMode'"):
        by_helm_4({"run": {"submissionMode": "Bogus"}})
    with pytest.raises(Exception, match="mode is once, but job is empty"):
        by_helm_4({"mode": "once"})


def test_the_notes_are_a_checklist_with_the_next_commands() -> None:
    values = {**ONCE, "envFrom": [{"secretRef": {"name": "bucket"}}], "image": {"pullSecrets": ["pull"]}}
    text = notes(values)
    assert "  [ ] This cluster knows no RayJob: install the KubeRay operator first" in text
    assert "helm test talks --namespace media --logs" in text
    assert "kubectl get secret bucket --namespace media" in text
    assert "kubectl get secret pull --namespace media" in text
    run = rendered(values).one("RayJob")["metadata"]["name"]
    assert f"soundquarry jobs logs {run} --kubernetes --namespace media --release talks --follow" in text
    assert "soundquarry verify s3://stems/talks" in text


def test_the_notes_tell_of_each_mode_how_a_run_begins() -> None:
    assert "soundquarry submit extract s3://... --catalog everyday --out s3://... --kubernetes" in notes({})
    nightly = notes(merged(NIGHTLY, {"schedule": {"timeZone": "Europe/Vienna"}}))
    assert 'Runs begin at "0 2 * * *" (Europe/Vienna).' in nightly
    assert "kubectl create job talks-soundquarry-now --from=cronjob/talks-soundquarry --namespace media" in nightly
    by_kuberay = notes(merged(NIGHTLY, {"schedule": {"kind": "RayCronJob", "suspend": True}}))
    assert "feature gate RayCronJob" in by_kuberay
    assert "once schedule.suspend is false" in by_kuberay


def test_the_values_of_the_guide_fit_together() -> None:
    guide = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)]
    values: dict[str, Any] = {}
    for block in blocks:
        if "kind" not in block:
            values = merged(values, block)
            assert rendered(values).objects
    assert values["mode"] == "scheduled"


def test_the_notes_of_a_training_tell_what_to_look_at() -> None:
    text = notes({"mode": "once", "job": TRAINING})
    for file in ("curves.png", "curve.jsonl", "model.safetensors"):
        assert f"  s3://models/talks/{file} " in text
    assert "verify" not in text


def test_the_notes_name_claims_queues_gpus_and_open_doors() -> None:
    values = {
        "models": {"kind": "existingClaim", "claim": "models"},
        "workers": {"gpu": {"enabled": True}},
        "kueue": {"queueName": "media"},
        "ray": {"auth": "disabled"},
        "networkPolicy": {"egressPorts": [443, 9000]},
    }
    text = notes(values)
    for words in ("get pvc models", "nvidia\\.com/gpu", "get localqueue media", "anything in it", "ports 443, 9000"):
        assert words in text
