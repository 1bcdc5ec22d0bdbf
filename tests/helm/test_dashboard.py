"""The dashboard: as Grafana wants it, and every query of it, and every metric that an alert names, gives data."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from made_media import chirp, encode
from prometheus_programs import Prometheus, eventually, free_port, prometheus, pushgateway, scraped
from rendered_chart import CHART, NIGHTLY, ONCE, merged, rendered
from tools import tool

DASHBOARD: Final[Mapping[str, Any]] = json.loads((CHART / "dashboards" / "soundquarry.json").read_text())
PANELS: Final = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES: Final = [
    (f"{panel['title']} {target['refId']}", target["expr"]) for panel in PANELS for target in panel["targets"]
]
VARIABLES: Final = {
    "$namespace": "media",
    "$release": "talks",
    "$job": "talks-soundquarry",
    "$gpu_hour_price": "2.5",
    "$__range": "1h",
}
ELSEWHERE: Final = {
    "kube_pod_container_status_last_terminated_reason",
    "kube_pod_container_status_restarts_total",
    "kube_pod_container_status_terminated_reason",
    "kube_pod_info",
}
"""Metrics of kube-state-metrics."""
OF_GPUS: Final = {"ray_node_gpus_utilization"}

# The command in a process that has a Ray of its own, whose metrics are at a known port.
RUN: Final = """
import sys, ray
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False,
         _metrics_export_port=int(sys.argv[1]), object_store_memory=2**29)
from workflows.cli import app
app(sys.argv[2:])
"""
# A Ray whose object store overflows, and whose memory monitor finds every worker one too many.
CROWDED: Final = """
import sys, numpy, ray
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False,
         _metrics_export_port=int(sys.argv[1]), object_store_memory=80 * 2**20)
kept = [ray.put(numpy.ones(2**22)) for _ in range(6)]

@ray.remote(max_retries=0)
def work():
    import time
    time.sleep(60)

try:
    ray.get(work.remote())
except ray.exceptions.OutOfMemoryError:
    print("killed", flush=True)
sys.stdin.read()
"""


def filled_in(expression: str) -> str:
    """An expression as Grafana sends it."""
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression
    return expression


def alerts() -> dict[str, str]:
    """The expressions of all alerts."""
    asked = {"pushgateway": {"url": "http://pushgateway:9091"}, "rules": {"enabled": True}}
    values = merged(NIGHTLY, {"workers": {"gpu": {"enabled": True}}, "monitoring": asked})
    (group,) = rendered(values).one("PrometheusRule")["spec"]["groups"]
    return {rule["alert"]: rule["expr"] for rule in group["rules"]}


def metrics_of(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:ray|soundquarry|kube)_\w+(?=\{)", expression))


def test_every_query_is_one_that_prometheus_understands(tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": filled_in(query)} for number, (_, query) in enumerate(QUERIES)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run([tool("promtool"), "check", "rules", tmp_path / "rules.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(QUERIES) > 40


def test_panels_have_a_title_a_description_a_unit_and_a_place_of_their_own() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])
    for one, other in combinations([panel["gridPos"] for panel in DASHBOARD["panels"]], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


def test_queries_of_one_release_ask_for_nothing_of_another() -> None:
    for title, query in QUERIES:
        for selector in re.findall(r"\w+(\{[^}]*\})", query):
            of_release = 'namespace="$namespace",release="$release"' in selector
            assert of_release != ('job="$job"' in selector), title


def test_the_config_map_holds_the_dashboard_with_the_price_of_the_values() -> None:
    wanted = {
        "dashboard": {"enabled": True, "annotations": {"folder": "media"}},
        "gpuHourPrice": 1.25,
        "currency": "EUR",
    }
    config_map = rendered(merged(ONCE, {"monitoring": wanted})).one("ConfigMap", "-dashboard")
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config_map["metadata"]["annotations"] == {"folder": "media"}
    installed = json.loads(config_map["data"]["soundquarry.json"])
    assert installed["panels"] == DASHBOARD["panels"]
    variables = {variable["name"]: variable for variable in installed["templating"]["list"]}
    assert (variables["gpu_hour_price"]["query"], variables["currency"]["query"]) == ("1.25", "EUR")
    assert variables["gpu_hour_price"]["current"]["value"] == "1.25"
    assert variables["release"] == next(v for v in DASHBOARD["templating"]["list"] if v["name"] == "release")


def test_pods_are_scraped_where_they_listen_and_under_the_names_that_the_queries_ask_for() -> None:
    talks = rendered(
        merged(ONCE, {"monitoring": {"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}})
    )
    monitor = talks.one("PodMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["media"]}
    head, worker = talks.pods["head"], talks.pods["cpu"]
    for pod in (head, worker):
        assert monitor["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        (chosen,) = monitor["spec"]["selector"]["matchExpressions"]
        assert pod["metadata"]["labels"][chosen["key"]] in chosen["values"]
    assert talks.pods["submitter"]["metadata"]["labels"]["app.kubernetes.io/component"] not in chosen["values"]
    ports = {port["name"] for port in head["spec"]["containers"][0]["ports"]}
    endpoints = monitor["spec"]["podMetricsEndpoints"]
    assert {endpoint["port"] for endpoint in endpoints} == {"metrics", "driver-metrics"} <= ports
    for endpoint in endpoints:
        targets = {relabelling["targetLabel"]: relabelling["sourceLabels"] for relabelling in endpoint["relabelings"]}
        assert targets["release"] == ["__meta_kubernetes_pod_label_app_kubernetes_io_instance"]
        assert targets["ray_io_cluster"] == ["__meta_kubernetes_pod_label_ray_io_cluster"]


def test_without_a_port_of_the_driver_only_ray_is_scraped() -> None:
    values = merged(ONCE, {"monitoring": {"podMonitor": {"enabled": True}, "metricsPort": None}})
    (endpoint,) = rendered(values).one("PodMonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] == "metrics"


@dataclass(frozen=True)
class Watched:
    """A run that is over, and the Prometheus that looked on."""

    asked: Prometheus
    last: float
    """When it was seen at work for the last time."""
    output: list[dict[str, Any]]

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Of the last run when it is over, of everything else while it was going on."""
        return self.asked.ask(query, None if 'job="talks-soundquarry"' in query else self.last)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A small archive with good and bad files is extracted, while Prometheus scrapes driver, Ray and gateway."""
    folder = tmp_path_factory.mktemp("watched")
    archive = folder / "archive"
    archive.mkdir()
    encode(archive / "long.flac", chirp(44_100, 400.0), 44_100)
    encode(archive / "short.wav", chirp(22_050, 7.5, channels=1), 22_050)
    (archive / "notes.mp3").write_text("these are not the sounds you are looking for")
    (folder / "catalog.yaml").write_text("- a dog barking\n- rain\n- wind in the trees\n")
    driver, ray = free_port(), free_port()
    of = {"namespace": "media", "release": "talks"}
    with pushgateway(folder) as gateway:
        scrape = [
            scraped("driver", f"127.0.0.1:{driver}", **of),
            scraped("ray", f"127.0.0.1:{ray}", **of),
            scraped("pushgateway", gateway.removeprefix("http://")),
        ]
        with prometheus(folder, scrape) as asked:
            arguments = [
                "extract", str(archive), "--catalog", str(folder / "catalog.yaml"), "--out", str(folder / "out"),
                "--device", "cpu", "--unit-seconds", "20", "--json", "--metrics-port", str(driver),
                "--pushgateway", gateway, "--metrics-job", "talks-soundquarry",
            ]  # fmt: skip
            done = subprocess.run(
                [sys.executable, "-c", RUN, str(ray), *arguments],
                env=os.environ | {"RAY_metrics_report_interval_ms": "6000"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            eventually(lambda: asked.ask("soundquarry_last_run_succeeded"), "the gateway is scraped")
            at_work = "timestamp(soundquarry_planned_units > on () sum(soundquarry_units_total))"
            last = asked.value(f"max_over_time({at_work}[10m:1s])")
            assert last is not None
            yield Watched(asked, last, [json.loads(line) for line in done.stdout.splitlines()])


@pytest.mark.slow
def test_every_query_of_the_dashboard_gives_data_of_a_real_run(watched: Watched) -> None:
    found = {title: watched.ask(filled_in(query)) for title, query in QUERIES}
    assert [title for title, series in found.items() if not series] == []
    values = {title: [float(one["value"][1]) for one in series] for title, series in found.items()}
    assert {title: value for title, value in values.items() if not all(map(math.isfinite, value))} == {}


@pytest.mark.slow
def test_every_metric_that_an_alert_names_is_there(watched: Watched) -> None:
    named = set().union(*(metrics_of(expression) for expression in alerts().values()))
    rare = {"ray_memory_manager_worker_eviction_total"}  # see below
    assert ELSEWHERE | OF_GPUS | rare < named
    for metric in named - ELSEWHERE - OF_GPUS - rare:
        labels = 'job="talks-soundquarry"' if "_last_" in metric and "progress" not in metric else 'release="talks"'
        assert watched.ask(f"{metric}{{{labels}}}"), metric


@pytest.mark.slow
def test_no_alert_is_raised_by_a_run_that_goes_well(watched: Watched) -> None:
    expressions = alerts()
    assert {name: found for name, expression in expressions.items() if (found := watched.ask(expression))} == {}


@pytest.mark.slow
def test_the_dashboard_tells_what_the_run_told(watched: Watched) -> None:
    summary = watched.output[-1]
    by_title = dict(QUERIES)

    def value(title: str) -> float:
        (series,) = watched.ask(filled_in(by_title[title]))
        return float(series["value"][1])

    assert value("Rows A") == summary["stems"]
    assert value("Units not done A") == 0
    assert value("How it ended A") == 1
    assert value("Audio A") == pytest.approx(summary["seconds"] / 3600)
    assert 0 < value("Audio done A") <= summary["seconds"] / 3600
    assert value("Skipped by the gate A") == pytest.approx(summary["gate_skip_rate"], abs=0.2)
    stages = {
        one["metric"]["stage"]: float(one["value"][1])
        for one in watched.ask(filled_in(by_title["Busy workers by stage A"]))
    }
    assert stages.keys() == {"decode", "network", "encode", "commit"}
    assert all(busy > 0 for busy in stages.values())


@pytest.mark.slow
def test_ray_tells_of_spilling_and_of_workers_that_it_kills(tmp_path: Path) -> None:
    port = free_port()
    crowded = {"RAY_metrics_report_interval_ms": "500", "RAY_memory_usage_threshold": "0.01"}
    crowded |= {"RAY_memory_monitor_refresh_ms": "100"}
    with prometheus(tmp_path, [scraped("ray", f"127.0.0.1:{port}", namespace="media", release="talks")]) as asked:
        process = subprocess.Popen(
            [sys.executable, "-c", CROWDED, str(port)], env=os.environ | crowded, stdin=subprocess.PIPE, text=True
        )
        try:
            killed = alerts()["SoundquarryWorkersEvicted"]
            eventually(lambda: asked.ask(killed), "the alert of killed workers", 120)
            spilling = alerts()["SoundquarrySpilling"].replace("> 1 * 2^30", "> 64 * 2^20")
            assert "64" in spilling
            eventually(lambda: asked.ask(spilling), "the alert of spilling", 30)
        finally:
            process.communicate("")
