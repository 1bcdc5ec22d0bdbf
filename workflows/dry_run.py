"""Dry run: what a job would do, and about how long it would take on this machine. Nothing is written.

The time comes from one window and a few batches of pairs, run right now on the job's device and scaled to all queries,
not from a table; as a speed it is told even where nothing could be probed. The bytes are an upper bound, every query in
every second.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import torch

from model.checkpoint import Model
from model.registry import load_model
from model.separator import Condition
from operators.catalog import load_catalog
from operators.dataset import committed_members
from operators.plan import RetryPolicy, plan_units
from operators.query_conditions import understand
from operators.sources import list_sources
from operators.stem_engine import Coverage, StemEngine
from workflows.device import device_here
from workflows.extract import ExtractJob

FLAC_BYTES_PER_SAMPLE = 2.8
"""24-bit FLAC of stems: the largest of 326 rows took 2.76 bytes a sample and channel, their mean 0.7 to 1.7."""
ROUNDS: Final = 2
"""So often every thread, or the accelerator, gets a batch of pairs while it is timed; further queries are reckoned. Of
CLAPSep on two threads these are four pairs, at 0.3 s each."""
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
    times_real_time: float
    """How many seconds of stereo one second of `device` separates for all queries, without the gate."""
    device: str
    already_done: int
    queries: int
    separation_seconds_at_most: float
    output_bytes_at_most: int
    """If the tracks have `output_channels` and, where stems keep the rate of their source, `output_rate`."""
    output_rate: int
    output_channels: int


def dry_run(job: ExtractJob) -> Estimate:
    """List, probe and plan as the job would, and time the network for a moment.

    Raises what the job would raise, and DeviceError for a device that is not here.
    """
    device = device_here(job.device)
    catalog, model = load_catalog(job.catalog), load_model(job.settings.model)
    model.separator.precision(job.settings.precision, device)  # raises for what it cannot
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
    rate = job.settings.decode_rate(model.separator.sample_rate) or USUAL_RATE
    cost = _cost(model, understand(catalog, model).condition, job, device, rate)
    return Estimate(
        sources=len(sources),
        problems=sum(source.problem is not None for source in sources),
        units=len(units),
        unprobed_members=len(unprobed),
        unprobed_bytes=sum(member["size_bytes"] or 0 for member in unprobed),
        hours=round(seconds / 3600.0, 3),
        times_real_time=float(f"{1.0 / cost:.3g}"),
        device=device,
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
        "speed": f"{estimate.times_real_time:g} x real time for {estimate.queries} "
        f"{'query' if estimate.queries == 1 else 'queries'} here ({estimate.device}), without the gate",
        "time": f"at most {minutes:.1f} min of separation here for what is probed; the gate saves most of it",
        "output": f"at most {estimate.output_bytes_at_most / 1e9:.2f} GB for what is probed, reckoned at "
        f"{estimate.output_rate} Hz and {estimate.output_channels} channel{'s'[: estimate.output_channels - 1]}",
    }
    if not estimate.hours:  # a bound on nothing would read as a promise
        del lines["time"], lines["output"]
    for name, value in lines.items():
        print(f"{name:8} {value}")


def _cost(model: Model, condition: Condition, job: ExtractJob, device: str, rate: int) -> float:
    """Wall seconds on `device` per second of stereo at `rate`, every query separated.

    One window is timed for so many queries that every thread is busy once, then twice; what the second time takes
    longer, every further round of the catalog takes as well.
    """

    def engine_of(queries: int) -> StemEngine:
        return StemEngine(
            model, condition.select(torch.arange(queries)), [0.0] * queries, gate=False, device=device,
            precision=job.settings.precision, residual=job.settings.residual, exclusive=job.settings.exclusive,
        )  # fmt: skip

    one, queries = engine_of(1), len(condition)
    window_seconds = one.grid_at(rate).hop / rate
    _seconds_per_window(one, rate)  # what only the first window pays
    busy = one.pair_batch * (torch.get_num_threads() if device == "cpu" else 1)
    if queries <= ROUNDS * busy:
        return _seconds_per_window(engine_of(queries), rate) / window_seconds
    once, all_rounds = (_seconds_per_window(engine_of(rounds * busy), rate) for rounds in (1, ROUNDS))
    a_round = max(0.0, all_rounds - once) / (ROUNDS - 1)
    return (once + a_round * (queries / busy - 1)) / window_seconds


def _seconds_per_window(engine: StemEngine, rate: int) -> float:
    """Wall seconds for one stereo window at `rate` and all queries of the engine."""
    grid = engine.grid_at(rate)
    noise = np.random.default_rng(0).standard_normal((2, grid.hop)).astype(np.float32) * 0.1
    began = time.monotonic()
    for _ in engine.stretches(noise, 0, 0, grid.hop - grid.fade, Coverage(), rate):
        continue
    return time.monotonic() - began
