"""The alerts, checked and tested by promtool as the chart renders them: alerts.yaml has the cases."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from rendered_chart import NIGHTLY, ONCE, merged, rendered
from tools import tool

CASES: Final = Path(__file__).parent / "alerts.yaml"
RUNBOOK: Final = Path(__file__).parents[2] / "docs" / "operations.md"
EVERYTHING: Final[Mapping[str, Any]] = merged(
    NIGHTLY,
    {
        "workers": {"gpu": {"enabled": True}},
        "monitoring": {
            "pushgateway": {"url": "http://pushgateway:9091"},
            "rules": {"enabled": True, "intervalSeconds": 3600, "labels": {"role": "alerts"}},
        },
    },
)


def rules_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """What Prometheus gets: the spec of the PrometheusRule."""
    spec: dict[str, Any] = rendered(values).one("PrometheusRule")["spec"]
    return spec


def alerts_of(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in rules_of(values)["groups"] for rule in group["rules"]}


def promtool(folder: Path, what: str, file: str) -> tuple[int, str]:
    done = subprocess.run([tool("promtool"), what, "rules", file], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Rules and cases side by side, as promtool wants them."""
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules_of(EVERYTHING), sort_keys=False))
    # promtool's parser of YAML knows no merge keys; what it reads is the same.
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(yaml.safe_load(CASES.read_text()), width=1000))
    return tmp_path


def test_promtool_finds_nothing_wrong_with_the_rules(folder: Path) -> None:
    code, said = promtool(folder, "check", "rules.yaml")
    assert code == 0, said
    assert f"SUCCESS: {len(alerts_of(EVERYTHING))} rules found" in said


def test_every_alert_fires_when_it_should_and_is_quiet_when_not(folder: Path) -> None:
    code, said = promtool(folder, "test", "alerts.yaml")
    assert code == 0, said


def test_a_case_that_is_not_so_is_found(folder: Path) -> None:
    cases = yaml.safe_load((folder / "alerts.yaml").read_text())
    cases["tests"] = cases["tests"][:1]
    (folder / "alerts.yaml").write_text(yaml.safe_dump(cases, width=1000).replace("was 2h 30m 0s ago", "was 9h ago"))
    code, said = promtool(folder, "test", "alerts.yaml")
    assert code != 0
    assert "SoundquarryNoSuccess" in said


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
    fires = {case["alertname"] for case in cases if case["exp_alerts"]}
    quiet = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert fires == quiet == alerts_of(EVERYTHING).keys()


@pytest.mark.parametrize("alert", alerts_of(EVERYTHING).values(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do_and_where_to_read_on(alert: dict[str, Any]) -> None:
    said = alert["annotations"]
    assert alert["labels"]["severity"] in ("warning", "critical")
    assert len(said["summary"]) < 80 < len(said["description"])
    assert "talks" in said["summary"]
    headings = {
        re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-")
        for h in re.findall("^#+ (.*)$", RUNBOOK.read_text(), re.M)
    }
    assert said["runbook_url"] == f"docs/operations.md#{alert['alert'].lower()}"
    assert alert["alert"].lower() in headings


def test_what_nobody_can_tell_is_no_alert() -> None:
    """Without a Pushgateway the end of a run, without a schedule a missed one, without GPUs an idle one."""
    pushed = {"SoundquarryNoSuccess", "SoundquarryNeverSucceeded", "SoundquarryDriverGone"}
    everything = set(alerts_of(EVERYTHING))
    assert set(alerts_of(merged(EVERYTHING, {"monitoring": {"pushgateway": {"url": ""}}}))) == everything - pushed
    once = {**ONCE, **{name: EVERYTHING[name] for name in ("workers", "monitoring")}}
    assert set(alerts_of(once)) == everything - pushed | {"SoundquarryDriverGone"}
    assert set(alerts_of(merged(EVERYTHING, {"workers": {"gpu": {"enabled": False}}}))) == everything - {
        "SoundquarryGpuIdle"
    }


def test_thresholds_are_values(tmp_path: Path) -> None:
    wanted = {
        "stalledMinutes": 20,
        "failedShare": 0.25,
        "spilledGib": 0.5,
        "gpuIdleMinutes": 7,
        "runbookUrl": "https://x/y",
    }
    values = merged(EVERYTHING, {"monitoring": {"rules": wanted}})
    alerts = alerts_of(values)
    assert "> 1200" in alerts["SoundquarryStalled"]["expr"]
    assert alerts["SoundquarrySourcesFail"]["expr"].count("> 0.25") == 2
    assert "more than 25%" in alerts["SoundquarrySourcesFail"]["annotations"]["description"]
    assert "> 0.5 * 2^30" in alerts["SoundquarrySpilling"]["expr"]
    assert alerts["SoundquarryGpuIdle"]["for"] == "7m"
    assert alerts["SoundquarryStalled"]["annotations"]["runbook_url"] == "https://x/y#soundquarrystalled"
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules_of(values)))
    code, said = promtool(tmp_path, "check", "rules.yaml")
    assert code == 0, said
    assert rendered(values).one("PrometheusRule")["metadata"]["labels"]["role"] == "alerts"
