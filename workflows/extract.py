"""Extract: media archives and a catalog in, a dataset of stems out.

List the sources, plan units, subtract what is committed, decode, separate and commit, then rebuild what is derived
from the committed files. A run that is killed at any moment goes on where it stopped when the same command is given
again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from model.checkpoint import Model
from model.registry import load_model
from model.window_grid import WindowGrid
from operators.catalog import Catalog, load_catalog
from operators.dataset import SIGNATURE_FILE, SignatureError, create_or_check_signature, remove_superseded
from operators.derived import rebuild_derived
from operators.media.ffmpeg_process import require_programs
from operators.query_conditions import CatalogConditions, understand
from operators.schema import SCHEMA_VERSION
from operators.settings import ExtractSettings
from operators.sources import list_sources
from operators.ucs import check_categories
from operators.whole_file import place, sweep_temporary
from workflows.cluster import Placement, check_cluster, check_model, check_output, placement, ray_cluster
from workflows.gpu_meter import GpuMeter
from workflows.planning import plan_run
from workflows.progress import Progress, Tally
from workflows.run_log import RunLog, new_run_id
from workflows.training.job import RUN_FILE

STALE_SECONDS = 3600.0


@dataclass(frozen=True)
class ExtractJob:
    """What a person asked for."""

    sources: tuple[str, ...]
    catalog: str
    out: str
    settings: ExtractSettings = field(default_factory=ExtractSettings)
    device: str = "auto"
    unit_seconds: float = 600.0
    workers: int | None = None
    max_gpu_hours: float | None = None
    retry_failed: bool = False
    address: str | None = None
    ucs_list: str | None = None


@dataclass(frozen=True)
class Summary:
    """How a run ended. `lost` units were not committed (a full disk, say), `left` ones not begun because the run was
    `stopped`; the same command takes up both."""

    run_id: str
    out: str
    units: int
    lost: int
    left: int
    stopped: str | None
    begun_again: int
    """Units that were begun more than once, because a worker or its node was lost."""
    already_done: int
    deleted: int
    """Sources that this run looked for and did not find any more."""
    seconds: float
    wall_seconds: float
    gpu_seconds: float
    stems: int
    events: int
    gate_skip_rate: float | None
    failures: dict[str, int]


def extract(job: ExtractJob, progress: Progress) -> Summary:
    """Run the job. Raises for what is wrong with the job as a whole, before the first byte is decoded."""
    began = time.monotonic()
    require_programs()
    check_cluster(job.address)
    catalog, model = load_catalog(job.catalog), load_model(job.settings.model)
    model.separator.precision(job.settings.precision, "cpu")  # raises for what no device can
    if job.ucs_list is not None:
        check_categories(catalog, job.ucs_list)
    understood = understand(catalog, model)
    listed = list_sources(job.sources)
    facts = model_facts(model, job.settings)
    del model  # a gigabyte or more, which the workers want
    out = place(job.out)
    if (out / RUN_FILE).exists() and not (out / SIGNATURE_FILE).exists():
        raise SignatureError(f"{job.out} holds a training ({RUN_FILE}); give another --out")
    create_or_check_signature(job.out, signature(catalog, facts, job))
    sweep_temporary(job.out, STALE_SECONDS)

    run_id = new_run_id()
    log = RunLog(
        job.out,
        run_id,
        {
            "sources": list(job.sources),
            "catalog": catalog.name,
            "model": facts.signature,
            "device": job.device,
            "precision": job.settings.precision,
            **job.settings.signature(),
        },
    )
    tally = Tally(run_id, job.settings.kind, facts.signature)
    meter = GpuMeter(job.max_gpu_hours, tally)
    try:
        plan = plan_run(job, listed, facts.decode_rate, run_id, tally)
        progress.start(tally)
        log.event("plan", units=tally.units_planned, seconds=tally.seconds_planned, already_done=tally.already_done)
        for receipt in _receipts(job, plan, catalog, understood, facts, run_id, meter):
            tally.add(receipt)
            log.event("unit", **receipt)
            progress.advance(tally, receipt)
        remove_superseded(job.out)
        rebuild_derived(job.out)
    except BaseException as error:
        progress.give_up()
        log.finish(
            "interrupted" if isinstance(error, KeyboardInterrupt) else "failed",
            error=f"{type(error).__name__}: {error}",
        )
        raise
    missing = tally.units_planned - tally.units
    stopped = "max_gpu_hours" if meter.is_spent and missing else None
    summary = Summary(
        run_id=run_id,
        out=job.out,
        units=tally.units,
        lost=tally.units_uncommitted + (0 if stopped else missing),
        left=missing if stopped else 0,
        stopped=stopped,
        begun_again=tally.units_begun_again,
        already_done=tally.already_done,
        deleted=tally.deleted,
        seconds=tally.seconds,
        wall_seconds=time.monotonic() - began,
        gpu_seconds=meter.seconds,
        stems=tally.stems,
        events=tally.events,
        gate_skip_rate=1.0 - tally.pairs_passed / tally.pairs if tally.pairs else None,
        failures=tally.failures,
    )
    log.finish("failed" if summary.lost else "done", stopped=stopped, summary=asdict(summary))
    progress.end(tally, asdict(summary))
    return summary


@dataclass(frozen=True)
class ModelFacts:
    """What the driver needs of a model once it has understood the catalog."""

    signature: str
    decode_rate: int | None
    """The rate in Hz that tracks are decoded at, None for their own."""
    context_seconds: float
    """What a unit needs on each side of its span: whole windows, and what its events may reach."""


def model_facts(model: Model, settings: ExtractSettings) -> ModelFacts:
    """The facts of a model under these settings."""
    network = model.separator
    windows = WindowGrid.of(network.window_samples, network.lead_share).context / network.sample_rate
    return ModelFacts(model.signature, settings.decode_rate(network.sample_rate), windows + settings.look_seconds)


def signature(catalog: Catalog, facts: ModelFacts, job: ExtractJob) -> dict[str, Any]:
    """What a dataset holds one of: `OUT/dataset.json`. Units are part of it: another length makes other members."""
    return {
        "kind": job.settings.kind,
        "schema_version": SCHEMA_VERSION,
        "model": facts.signature,
        "catalog": catalog.content_hash,
        "unit_seconds": job.unit_seconds,
        **job.settings.signature(),
    }


def _receipts(
    job: ExtractJob,
    plan: pa.Table,
    catalog: Catalog,
    understood: CatalogConditions,
    facts: ModelFacts,
    run_id: str,
    meter: GpuMeter,
) -> Iterator[Mapping[str, Any]]:
    """Receipts of all units, in the order in which they are done."""
    if not plan.num_rows:
        return
    with ray_cluster(job.address):
        import ray
        from ray.data import ActorPoolStrategy

        from operators.attempts import remote_ledger
        from operators.decode import Decode
        from operators.separate import SeparateAndCommit

        check_output(job.out)
        settings = job.settings.model_copy(update={"model": _absolute(job.settings.model)})
        check_model(settings.model, facts.signature)
        where: Placement = placement(job.device, job.workers, plan.num_rows)
        attempts = remote_ledger()
        # Not `from_arrow`: it runs a task of a whole core for every unit, and nodes would be started for those.
        units = ray.data.from_blocks([plan.slice(row, 1) for row in range(plan.num_rows)])
        receipts = units.map_batches(
            Decode,
            batch_size=1,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=where.decoders, max_tasks_in_flight_per_actor=1),
            num_cpus=where.decoder_cpus,
            fn_constructor_kwargs={
                "sample_rate": facts.decode_rate,
                "context_seconds": facts.context_seconds,
                "unit_seconds": job.unit_seconds,
                "attempts": attempts,
            },
        ).map_batches(
            SeparateAndCommit,
            batch_size=1,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=where.separators, max_tasks_in_flight_per_actor=1),
            num_cpus=where.separator_cpus,
            num_gpus=where.separator_gpus,
            fn_constructor_kwargs={
                "out_uri": job.out,
                "run_id": run_id,
                "catalog": catalog,
                "settings": settings,
                "device": where.device,
                "threads": where.threads,
                "attempts": attempts,
                "understood": understood,
            },
        )
        batches = receipts.iter_batches(batch_size=None, prefetch_batches=0, batch_format="pyarrow")
        with meter.running(where, attempts.call_off):
            yield from meter.receipts((receipt for batch in batches for receipt in batch.to_pylist()), attempts)


def _absolute(model: str) -> str:
    path = Path(model).expanduser()
    return str(path.absolute()) if path.is_file() else model
