"""What Prometheus may ask of a run while it goes on: `--metrics-port`.

The numbers are those of the Tally, read at the moment of the scrape. Rules and dashboard of the chart stand on these
names. No label holds the name of a file: there may be millions.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from operators.failure import Status
from workflows.progress import Tally

OUTCOMES: Final = ("ok", "failed", "lost")
"""Of a unit: all is well; it is committed, and some source in it is bad; it could not be committed."""
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
BAD: Final[frozenset[Status]] = frozenset({"partial", "unreadable", "failed"})
"""A source without sound is none of them: that is how many videos are."""


class MetricsPortError(OSError):
    """The port cannot be had; the message says which, and what to do."""


class RunMetrics(Collector):
    """The metrics of one run, from the first second of the command on; a Progress, and a collector of Prometheus."""

    def __init__(self) -> None:
        self.began = self.progressed = time.time()
        self.tally = Tally()
        self.outcomes: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        self.statuses: Counter[str] = Counter(dict.fromkeys(STATUSES, 0))
        self.complete = False
        """The run came to its end, and every unit that it began was committed."""
        self.left = 0
        """Units that it did not begin, because its GPU hours were spent."""

    def start(self, tally: Tally) -> None:
        self.tally, self.progressed = tally, time.time()

    def advance(self, tally: Tally, receipt: Mapping[str, Any]) -> None:
        self.progressed = time.time()
        bad = not BAD.isdisjoint(receipt["statuses"])
        self.outcomes["failed" if bad else "ok"] += receipt["committed"]
        self.outcomes["lost"] += not receipt["committed"]
        self.statuses.update(receipt["statuses"])

    def end(self, tally: Tally, summary: Mapping[str, Any]) -> None:
        self.complete, self.left = not summary["lost"], summary["left"]

    def give_up(self) -> None:
        """Nothing to count: `complete` stays False."""

    def collect(self) -> Iterator[Metric]:
        """Everything, as it is now. Called by the threads that answer Prometheus."""
        tally = self.tally
        yield _gauge("run_start_timestamp_seconds", "When the command began.", self.began)
        yield _gauge("last_progress_timestamp_seconds", "When the plan was made, or a unit came back.", self.progressed)
        if tally.run_id:
            of = {"run_id": tally.run_id, "workflow": tally.workflow, "model": tally.model}
            yield InfoMetricFamily("soundquarry_run", "The run, as in OUT/runs.", of)
        yield _gauge("planned_units", "Units of this run.", tally.units_planned)
        yield _gauge("planned_audio_seconds", "Audio of those units whose length is known.", tally.seconds_planned)
        yield _counter("audio_seconds", "Audio that was decoded and looked at.", tally.seconds)
        yield _counter("stems", "Rows of stems, or of mined events, that were written.", tally.stems)
        yield _counter("events", "Events that were found.", tally.events)
        yield _counter("written_bytes", "Size of the committed files.", tally.size_bytes)
        yield _counter("gpu_seconds", "Seconds that accelerators were held.", tally.gpu_seconds)
        gate = {"passed": tally.pairs_passed, "skipped": tally.pairs - tally.pairs_passed}
        yield _counters("units", "Units that came back.", "outcome", self.outcomes)
        yield _counters("sources", "Tracks, or spans of long ones, that were looked at.", "status", self.statuses)
        yield _counters("pairs", "Pairs of a window and a query.", "gate", gate)
        yield _counters("source_failures", "Sources that are not whole.", "error_class", tally.failures)


@contextlib.contextmanager
def exporter(metrics: RunMetrics, port: int) -> Iterator[None]:
    """Answers at `http://<any address of this machine>:<port>/metrics` meanwhile. Raises MetricsPortError."""
    registry = CollectorRegistry()
    registry.register(metrics)
    try:
        server, thread = start_http_server(port, registry=registry)
    except OSError as error:
        raise MetricsPortError(
            f"--metrics-port {port} cannot be opened ({error.strerror}); nothing was done. Give another port, or leave "
            "--metrics-port and SOUNDQUARRY_METRICS_PORT away"
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"soundquarry_{name}", what, value)


def _counter(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(f"soundquarry_{name}", what, value)


def _counters(name: str, what: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"soundquarry_{name}", what, labels=[label])
    for key, value in dict(values).items():  # a copy: the run goes on meanwhile
        family.add_metric([key], value)
    return family
