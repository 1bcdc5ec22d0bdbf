"""Dry run: what a job would do, and about how long it would take on this machine. Nothing is written.

The time comes from one window and one batch of pairs run right now, not from a table; the bytes are an upper bound,
every query in every second.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass

import numpy as np

from model.registry import load_model
from operators.catalog import load_catalog
from operators.dataset import committed_members
from operators.plan import RetryPolicy, plan_units
from operators.query_conditions import understand
from operators.sources import list_sources
from operators.stem_engine import Coverage, StemEngine
from workflows.extract import ExtractJob

FLAC_BYTES_PER_SAMPLE = 2.8
"""24-bit FLAC of stems: the largest of 326 rows took 2.76 bytes a sample and channel, their mean 0.7 to 1.7."""
USUAL_RATE = 48_000
"""What is reckoned with, in Hz, where stems take the rate of their source: that of video."""


@dataclass(frozen=True)
class Estimate:
    """What a job would do. `hours` counts what could be probed; `unprobed` small sources are probed inside their
    units."""

    sources: int
    problems: int
    units: int
    unprobed_members: int
    unprobed_bytes: int
    hours: float
    already_done: int
    queries: int
    separation_seconds_at_most: float
    output_bytes_at_most: int
    """If the tracks have `output_channels` and, where stems keep the rate of their source, `output_rate`."""
    output_rate: int
    output_channels: int


def dry_run(job: ExtractJob) -> Estimate:
    """List, probe and plan as the job would, and time the network for a moment."""
    catalog, model = load_catalog(job.catalog), load_model(job.settings.model)
    sources = list(list_sources(job.sources))
    committed = committed_members(job.out)
    units = list(
        plan_units(
            sources,
            committed,
            unit_seconds=job.unit_seconds,
            sample_rate=job.settings.decode_rate(model.separator.sample_rate),
            look_seconds=job.settings.look_seconds,
            retry=RetryPolicy(failed=job.retry_failed),
        )
    )
    unprobed = [
        member for unit in units if unit["seconds"] is None for member in unit["members"] if not member["status"]
    ]
    seconds = sum(unit["seconds"] or 0.0 for unit in units)
    spans = sum(unit["seconds"] is not None for unit in units)  # each looks beyond its borders, if it mines
    channels = 1 if job.settings.channels == "mono" else 2
    stems = len(catalog.queries) + job.settings.residual
    engine = StemEngine(
        model, understand(catalog, model).condition, [0.0] * len(catalog.queries), gate=False,
        precision=job.settings.precision, residual=job.settings.residual, exclusive=job.settings.exclusive,
    )  # fmt: skip
    rate = job.settings.decode_rate(engine.sample_rate) or USUAL_RATE
    cost = _seconds_per_window(engine, rate) / (engine.grid_at(rate).hop / rate)
    return Estimate(
        sources=len(sources),
        problems=sum(source.problem is not None for source in sources),
        units=len(units),
        unprobed_members=len(unprobed),
        unprobed_bytes=sum(member["size_bytes"] or 0 for member in unprobed),
        hours=round(seconds / 3600.0, 3),
        already_done=len(committed),
        queries=len(catalog.queries),
        separation_seconds_at_most=round((seconds + 2 * job.settings.look_seconds * spans) * cost, 1),
        output_bytes_at_most=int(seconds * stems * channels * rate * FLAC_BYTES_PER_SAMPLE),
        output_rate=rate,
        output_channels=channels,
    )


def print_estimate(estimate: Estimate, *, as_json: bool) -> None:
    """The estimate as lines, or as one JSON object."""
    if as_json:
        print(json.dumps(asdict(estimate)))
        return
    problems = f" ({estimate.problems} cannot be read)" if estimate.problems else ""
    small = f"{estimate.unprobed_members} small sources of {estimate.unprobed_bytes / 1e6:.1f} MB"
    done = f", {estimate.already_done} members already done" if estimate.already_done else ""
    minutes = estimate.separation_seconds_at_most / 60
    lines = {
        "sources": f"{estimate.sources}{problems}",
        "audio": f"{estimate.hours:.2f} h probed, and {small}",
        "units": f"{estimate.units}{done}",
        "queries": f"{estimate.queries}",
        "time": f"at most {minutes:.1f} min of separation here for what is probed; the gate saves most of it",
        "output": f"at most {estimate.output_bytes_at_most / 1e9:.2f} GB for what is probed, reckoned at "
        f"{estimate.output_rate} Hz and {estimate.output_channels} channel{'s'[: estimate.output_channels - 1]}",
    }
    for name, value in lines.items():
        print(f"{name:8} {value}")


def _seconds_per_window(engine: StemEngine, rate: int) -> float:
    """Wall seconds for one stereo window at `rate` and all queries, the faster of two runs."""
    grid = engine.grid_at(rate)
    noise = np.random.default_rng(0).standard_normal((2, grid.hop)).astype(np.float32) * 0.1
    times = []
    for _ in range(2):
        began = time.monotonic()
        for _ in engine.stretches(noise, 0, 0, grid.hop - grid.fade, Coverage(), rate):
            continue
        times.append(time.monotonic() - began)
    return min(times)
