"""Who is told of a run besides the person in front of it: Prometheus while it goes on, its Pushgateway at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from workflows.metrics import RunMetrics, exporter
from workflows.progress import Progress, Several
from workflows.pushgateway import push


@dataclass(frozen=True)
class Monitoring:
    """What a person asked for; None: nobody is told."""

    metrics_port: int | None = None
    pushgateway: str | None = None
    job: str = "soundquarry"


@contextlib.contextmanager
def monitored(progress: Progress, asked: Monitoring) -> Iterator[Progress]:
    """`progress`, and who else was asked for. The end of the run is the end of the block, whatever it is: an error
    leaves it by the same way. Raises MetricsPortError before anything is done."""
    metrics = RunMetrics()
    with contextlib.ExitStack() as open_until_the_end:
        if asked.metrics_port is not None:
            open_until_the_end.enter_context(exporter(metrics, asked.metrics_port))
        succeeded = False
        try:
            yield Several(progress, metrics)
            succeeded = metrics.complete
        finally:
            if asked.pushgateway is not None:
                push(asked.pushgateway, asked.job, metrics, succeeded=succeeded)
