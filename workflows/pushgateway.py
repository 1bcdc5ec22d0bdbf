"""How a run ended, told to a Prometheus Pushgateway: `--pushgateway`.

Short runs are over before Prometheus has scraped them, and nothing is left to scrape of one that failed; what alerts
ask for is therefore pushed, at every end. One group per job: a run replaces what the one before it told, but for the
time of the last success. A gateway that does not answer is a warning.
"""

from __future__ import annotations

import sys
import time
from http.client import HTTPException
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, pushadd_to_gateway

from workflows.metrics import RunMetrics

ANSWER_SECONDS: Final = 10.0
PAUSES_SECONDS: Final = (1.0, 5.0)
"""Between tries. One that moves to another node is away for longer, but the alert waits for two intervals."""
NO_FAILURE: Final = "none"
"""Stands for all error classes of a run that has none: without a series the gateway would keep those of the last."""


def push(address: str, job: str, metrics: RunMetrics, *, succeeded: bool) -> bool:
    """Tell the gateway at `address` how a run ended; False, and a warning, where it does not take it."""
    registry = end_of_run(metrics, succeeded=succeeded)
    for pause_seconds in (*PAUSES_SECONDS, None):
        try:
            pushadd_to_gateway(address, job, registry, timeout=ANSWER_SECONDS)
            return True
        except (OSError, HTTPException, ValueError) as error:
            if pause_seconds is None:
                print(
                    f"soundquarry: the Pushgateway at {address} was not told how the run ended ({error}); the run "
                    "itself is not affected, but an alert may say that it is missing",
                    file=sys.stderr,
                )
            else:
                time.sleep(pause_seconds)
    return False


def end_of_run(metrics: RunMetrics, *, succeeded: bool) -> CollectorRegistry:
    """What is pushed: `soundquarry_last_run_*`, and the time of a success. A run that its cap stopped has done what it
    was allowed to; but one that never catches up is to be told of, so it does not move that time."""
    registry, tally, now = CollectorRegistry(), metrics.tally, time.time()

    def tell(name: str, what: str, value: float) -> None:
        Gauge(f"soundquarry_{name}", what, registry=registry).set(value)

    def tell_each(name: str, what: str, label: str, values: dict[str, int]) -> None:
        gauge = Gauge(f"soundquarry_{name}", what, [label], registry=registry)
        for key, value in values.items():
            gauge.labels(key).set(value)

    if succeeded and not metrics.left:
        tell("last_success_timestamp_seconds", "When the last run ended that committed all its units.", now)
    tell("last_run_timestamp_seconds", "When the last run ended, well or badly.", now)
    tell("last_run_succeeded", "1 if the last run committed all that it began, else 0.", succeeded)
    tell(
        "last_run_left_units", "Units that the last run left to the next one, its GPU hours being spent.", metrics.left
    )
    tell("last_run_duration_seconds", "How long the last run took.", now - metrics.began)
    tell("last_run_audio_seconds", "Audio that the last run looked at.", tally.seconds)
    tell("last_run_gpu_seconds", "Seconds for which the last run held accelerators.", tally.gpu_seconds)
    tell("last_run_stems", "Rows that the last run wrote.", tally.stems)
    tell("last_run_planned_units", "Units of the last run.", tally.units_planned)
    tell_each("last_run_units", "Units of the last run that came back.", "outcome", metrics.outcomes)
    tell_each("last_run_sources", "Tracks, or spans of long ones, of the last run.", "status", metrics.statuses)
    failures = tally.failures or {NO_FAILURE: 0}
    tell_each("last_run_source_failures", "Sources of the last run that are not whole.", "error_class", failures)
    return registry
