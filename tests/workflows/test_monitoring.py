"""Every end of a run is told to the Pushgateway, and a gateway that does not answer ends no run."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_receipts import BAD, LOST, RECEIPT
from prometheus_programs import eventually, free_port, prometheus, pushgateway, read, scraped
from typer.testing import CliRunner

from workflows import pushgateway as pushing
from workflows.cli import app
from workflows.metrics import RunMetrics
from workflows.monitoring import Monitoring, monitored
from workflows.progress import JsonProgress, Tally

GROUP = 'instance="",job="talks"'


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pushgateway(tmp_path_factory.mktemp("gateway")) as address:
        yield address


def run(
    gateway: str, *receipts: dict[str, Any], planned: int = 1, left: int = 0, error: BaseException | None = None
) -> None:
    """A run from its first to its last moment, as the command goes through it."""
    with monitored(JsonProgress(), Monitoring(pushgateway=gateway, job="talks")) as progress:
        tally = Tally(units_planned=planned)
        progress.start(tally)
        for receipt in receipts:
            tally.add(receipt)
            progress.advance(tally, receipt)
        if error is not None:
            progress.give_up()
            raise error
        lost = tally.units_uncommitted + tally.units_planned - tally.units - left
        progress.end(tally, {"lost": lost, "left": left})


def pushed(gateway: str) -> dict[str, float]:
    """What the gateway holds of the job `talks`, without the labels of the group."""
    lines = [line for line in read(f"{gateway}/metrics").splitlines() if line.startswith("soundquarry_")]
    samples = (line.rsplit(" ", 1) for line in lines if 'job="talks"' in line)
    return {
        name.removeprefix("soundquarry_").replace(GROUP, "").replace("{}", "").replace("{,", "{").replace(",}", "}"): (
            float(value)
        )
        for name, value in samples
    }


def test_a_success_is_told_with_its_time_and_what_was_done(gateway: str) -> None:
    run(gateway, RECEIPT, RECEIPT | BAD, planned=2)
    found = pushed(gateway)
    assert math.isclose(found["last_success_timestamp_seconds"], time.time(), abs_tol=10.0)
    assert found["last_success_timestamp_seconds"] == found["last_run_timestamp_seconds"]
    assert (found["last_run_succeeded"], found["last_run_audio_seconds"], found["last_run_stems"]) == (1, 1200, 24)
    assert (found['last_run_units{outcome="ok"}'], found['last_run_units{outcome="failed"}']) == (1, 1)
    assert found['last_run_sources{status="unreadable"}'] == 1
    assert found['last_run_source_failures{error_class="not_media"}'] == 1
    assert found["last_run_left_units"] == 0
    assert 0.0 <= found["last_run_duration_seconds"] < 10.0


def test_a_run_that_its_cap_stopped_did_well_but_the_last_success_is_when_nothing_was_left(gateway: str) -> None:
    run(gateway, RECEIPT)
    succeeded = pushed(gateway)["last_success_timestamp_seconds"]
    run(gateway, RECEIPT, planned=5, left=4)
    found = pushed(gateway)
    assert (found["last_run_succeeded"], found["last_run_left_units"]) == (1, 4)
    assert found["last_success_timestamp_seconds"] == succeeded < found["last_run_timestamp_seconds"]
    run(gateway, RECEIPT, RECEIPT | LOST, planned=5, left=3)
    assert pushed(gateway)["last_run_succeeded"] == 0
    run(gateway, RECEIPT)
    found = pushed(gateway)
    assert (found["last_success_timestamp_seconds"], found["last_run_left_units"]) == (
        found["last_run_timestamp_seconds"], 0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("receipts", "error"),
    [
        ([RECEIPT | LOST], None),
        ([], None),
        ([RECEIPT], RuntimeError("the cluster is gone")),
        ([RECEIPT], KeyboardInterrupt()),
    ],
    ids=["a unit was not committed", "a unit never came back", "the job failed", "interrupted"],
)
def test_another_end_keeps_the_time_of_the_last_success(
    gateway: str, receipts: list[dict[str, Any]], error: BaseException | None
) -> None:
    run(gateway, RECEIPT)
    succeeded = pushed(gateway)["last_success_timestamp_seconds"]
    if error is None:
        run(gateway, *receipts)
    else:
        with pytest.raises(type(error)):
            run(gateway, *receipts, error=error)
    found = pushed(gateway)
    assert found["last_run_succeeded"] == 0
    assert found["last_success_timestamp_seconds"] == succeeded < found["last_run_timestamp_seconds"]


def test_failures_of_an_earlier_run_are_not_told_again(gateway: str) -> None:
    run(gateway, RECEIPT | BAD)
    run(gateway, RECEIPT)
    classes = {name: value for name, value in pushed(gateway).items() if name.startswith("last_run_source_failures")}
    assert classes == {'last_run_source_failures{error_class="none"}': 0}


def test_prometheus_scrapes_what_was_pushed_under_the_job_of_the_run(gateway: str, tmp_path: Path) -> None:
    run(gateway, RECEIPT)
    with prometheus(tmp_path, [scraped("pushgateway", gateway.removeprefix("http://"))]) as asked:
        stems = 'soundquarry_last_run_stems{job="talks"}'
        assert eventually(lambda: asked.value(stems), "the gateway is scraped") == 12.0


def test_a_gateway_that_is_away_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pushing, "PAUSES_SECONDS", (0.0,))
    address = f"http://127.0.0.1:{free_port()}"
    run(address, RECEIPT)
    said = capsys.readouterr().err
    assert said.count(f"the Pushgateway at {address} was not told") == 1
    assert "Connection refused" in said


def test_an_address_that_cannot_be_called_does_not_end_a_run_that_went_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pushing, "PAUSES_SECONDS", ())
    for address in ("http://a..b:9091", "http://[oops", "http://gateway:port"):
        run(address, RECEIPT)
        assert f"the Pushgateway at {address} was not told" in capsys.readouterr().err


def test_a_gateway_that_comes_back_in_time_is_told(gateway: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def away_at_first(address: str, *rest: Any, **more: Any) -> None:
        tried.append(address)
        if len(tried) == 1:
            raise ConnectionResetError("away")
        really(address, *rest, **more)

    really = pushing.pushadd_to_gateway
    monkeypatch.setattr(pushing, "PAUSES_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(pushing, "pushadd_to_gateway", away_at_first)
    assert pushing.push(gateway, "talks", RunMetrics(), succeeded=False)
    assert len(tried) == 2


def test_a_command_that_cannot_begin_is_an_end_too(gateway: str, tmp_path: Path) -> None:
    began = time.time()
    done = CliRunner().invoke(
        app,
        ["extract", str(tmp_path / "nothing-here.wav"), "--catalog", "animals", "--out", str(tmp_path / "out")],
        env={"SOUNDQUARRY_PUSHGATEWAY": gateway, "SOUNDQUARRY_METRICS_JOB": "talks"},
    )
    assert done.exit_code == 2
    found = pushed(gateway)
    assert (found["last_run_succeeded"], found["last_run_planned_units"]) == (0, 0)
    assert found["last_run_timestamp_seconds"] >= began
