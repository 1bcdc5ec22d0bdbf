"""What the actors tell Prometheus, through Ray: where the seconds of a unit go, and how often memory ran out.

Every node exports them under these names with `ray_` in front, one series per worker: sum over the workers. Where no
Ray runs (a notebook, a test that calls a stage by itself) nothing is measured and nothing is imported.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

StageName = Literal["decode", "network", "encode", "commit"]
"""Reading media; the network and its gate; measuring and FLAC, in threads beside the network; the file to its place."""
UnitStage = Literal["decode", "separate"]
UNIT_BOUNDARIES: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0, 2560.0)
"""Seconds. Ten minutes of audio take 2 s on an accelerator, 20 s on a laptop; at full size there up to an hour."""

Step = TypeVar("Step")


@dataclass(frozen=True)
class _Metrics:
    stage_seconds: Any
    unit_seconds: Any
    memory_retries: Any


@contextlib.contextmanager
def stage_time(stage: StageName) -> Iterator[None]:
    """Counts the seconds inside as those of a stage. A decorator, too."""
    began = time.monotonic()
    try:
        yield
    finally:
        _count(stage, time.monotonic() - began)


def stage_steps(stage: StageName, steps: Iterable[Step]) -> Iterator[Step]:
    """The steps as they are; the seconds that each of them takes to come are those of a stage.

    >>> list(stage_steps("decode", [1, 2]))
    [1, 2]
    """
    began = time.monotonic()
    for step in steps:
        _count(stage, time.monotonic() - began)
        yield step
        began = time.monotonic()
    _count(stage, time.monotonic() - began)


@contextlib.contextmanager
def unit_time(stage: UnitStage) -> Iterator[None]:
    """Observes the seconds inside as those of one unit."""
    began = time.monotonic()
    yield
    metrics = _metrics()
    if metrics is not None:
        metrics.unit_seconds.observe(time.monotonic() - began, tags={"stage": stage})


def count_memory_retry() -> None:
    """Counts a batch that was halved because the accelerator's memory ran out."""
    metrics = _metrics()
    if metrics is not None:
        metrics.memory_retries.inc()


def _count(stage: StageName, seconds: float) -> None:
    metrics = _metrics()
    if metrics is not None and seconds > 0.0:
        metrics.stage_seconds.inc(seconds, tags={"stage": stage})


def _metrics() -> _Metrics | None:
    """The metrics of this process, None where it is no part of a cluster."""
    ray = sys.modules.get("ray")
    return _made() if ray is not None and ray.is_initialized() else None


@functools.cache
def _made() -> _Metrics:
    from ray.util.metrics import Counter, Histogram

    return _Metrics(
        stage_seconds=Counter(
            "soundquarry_stage_seconds_total", "Seconds that workers spent in a stage of the work.", tag_keys=("stage",)
        ),
        unit_seconds=Histogram(
            "soundquarry_unit_seconds", "Seconds that a unit took.", list(UNIT_BOUNDARIES), tag_keys=("stage",)
        ),
        memory_retries=Counter(
            "soundquarry_memory_retries_total", "Batches halved because the accelerator's memory ran out."
        ),
    )
