"""The metrics of a run: what Prometheus reads is the Tally."""

from __future__ import annotations

import contextlib
import math
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from made_receipts import BAD, LOST, RECEIPT, told
from prometheus_programs import eventually, free_port, prometheus, read, scraped
from tools import tool
from typer.testing import CliRunner

from workflows.cli import app
from workflows.metrics import MetricsPortError, RunMetrics, exporter


@contextlib.contextmanager
def exported(metrics: RunMetrics) -> Any:
    port = free_port()
    with exporter(metrics, port):
        yield f"127.0.0.1:{port}"


def values(text: str) -> dict[str, float]:
    """Every sample of an answer by its name and labels."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_what_is_scraped_is_what_the_receipts_add_up_to() -> None:
    with exported(told(RECEIPT, RECEIPT | BAD, RECEIPT | LOST)) as address:
        found = values(read(f"http://{address}/metrics"))
    expected = {
        "soundquarry_planned_units": 4,
        "soundquarry_planned_audio_seconds": 2400,
        "soundquarry_audio_seconds_total": 1800,
        "soundquarry_stems_total": 36,
        "soundquarry_events_total": 90,
        "soundquarry_written_bytes_total": 8_000_000,
        "soundquarry_gpu_seconds_total": 0,
        'soundquarry_units_total{outcome="ok"}': 1,
        'soundquarry_units_total{outcome="failed"}': 1,
        'soundquarry_units_total{outcome="lost"}': 1,
        'soundquarry_sources_total{status="ok"}': 5,
        'soundquarry_sources_total{status="unreadable"}': 1,
        'soundquarry_sources_total{status="no_audio"}': 1,
        'soundquarry_sources_total{status="failed"}': 0,
        'soundquarry_pairs_total{gate="passed"}': 201,
        'soundquarry_pairs_total{gate="skipped"}': 1809,
        'soundquarry_source_failures_total{error_class="not_media"}': 1,
        'soundquarry_source_failures_total{error_class="disk_full"}': 1,
        'soundquarry_run_info{model="mini-0123456789ab",run_id="20260131T120000Z-3f9a",workflow="extract"}': 1,
    }
    assert {name: found.get(name) for name in expected} == expected


def test_the_counters_are_there_before_the_plan_is() -> None:
    began = time.time()
    with exported(RunMetrics()) as address:
        found = values(read(f"http://{address}/metrics"))
    assert found["soundquarry_audio_seconds_total"] == found['soundquarry_units_total{outcome="lost"}'] == 0
    assert math.isclose(found["soundquarry_run_start_timestamp_seconds"], began, abs_tol=5.0)
    assert not any(name.startswith("soundquarry_run_info") for name in found)


def test_a_unit_that_comes_back_is_progress() -> None:
    metrics = told()
    planned = metrics.progressed
    time.sleep(0.01)
    metrics.advance(metrics.tally, RECEIPT)
    assert planned < metrics.progressed <= time.time()


def test_no_name_of_a_file_becomes_a_label() -> None:
    with exported(told(RECEIPT | BAD)) as address:
        assert "secret" not in read(f"http://{address}/metrics")


def test_promtool_finds_nothing_wrong_with_the_names() -> None:
    with exported(told(RECEIPT, RECEIPT | BAD)) as address:
        answer = read(f"http://{address}/metrics")
    done = subprocess.run([tool("promtool"), "check", "metrics"], input=answer, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_prometheus_scrapes_the_driver(tmp_path: Path) -> None:
    metrics = told(RECEIPT)
    with exported(metrics) as address, prometheus(tmp_path, [scraped("driver", address, release="talks")]) as asked:
        done = 'soundquarry_audio_seconds_total{release="talks"}'
        assert eventually(lambda: asked.value(done), "the driver is scraped") == 600.0
        metrics.tally.add(RECEIPT)
        eventually(lambda: asked.value(done) == 1200.0, "the next scrape finds the next unit")


def test_the_port_is_free_again_afterwards() -> None:
    port = free_port()
    for _ in range(2):
        with exporter(RunMetrics(), port):
            assert "soundquarry_" in read(f"http://127.0.0.1:{port}/metrics")


def test_a_port_that_is_taken_is_an_error_that_names_it() -> None:
    port = free_port()
    with exporter(RunMetrics(), port), pytest.raises(MetricsPortError, match=f"--metrics-port {port}.*Give another"):
        exporter(RunMetrics(), port).__enter__()


def test_with_a_taken_port_the_command_ends_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "catalog.yaml").write_text("- rain\n")
    (tmp_path / "sound.wav").touch()
    port, out = free_port(), tmp_path / "out"
    with exporter(RunMetrics(), port):
        done = CliRunner().invoke(
            app,
            [
                "extract", str(tmp_path / "sound.wav"), "--catalog", str(tmp_path / "catalog.yaml"), "--out", str(out),
                "--metrics-port", str(port),
            ],
        )  # fmt: skip
    assert done.exit_code == 1
    assert f"--metrics-port {port} cannot be opened (Address already in use)" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--metrics-port", "70000", "1 to 65535"),
        ("--pushgateway", "gateway:9091", "http://pushgateway:9091"),
        ("--pushgateway", "http://a..b:9091", "is empty or too long"),
        ("--pushgateway", "http://gateway:port", "Port could not be cast"),
    ],
)
def test_wrong_use_is_told_with_what_would_be_right(option: str, value: str, said: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["extract", "x.wav", "--catalog", "animals", "--out", str(out), option, value])
    assert done.exit_code == 2
    assert f"{option} is" in done.stderr
    assert value in done.stderr
    assert said in done.stderr


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    asked = ["extract", "x.wav", "--catalog", "animals", "--out", "out", "--pushgateway", "http://me:secret@gateway"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 2
    assert "'http://...@gateway': a user and a password would be shown" in done.stderr
    assert "secret" not in done.stderr
