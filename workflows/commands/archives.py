"""Commands that listen to archives: `extract` and `mine`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from workflows.commands.endings import GOES_ON, fail, run, wrong_use
from workflows.commands.options import (
    Address,
    CatalogName,
    Channels,
    Device,
    DryRun,
    GateThreshold,
    Json,
    MaxGpuHours,
    MetricsJob,
    MetricsPort,
    ModelName,
    Precision,
    Pushgateway,
    Rate,
    RetryFailed,
    Sources,
    Threshold,
    UcsList,
    UnitSeconds,
    Workers,
)
from workflows.commands.run_checks import wrong_run


def extract(
    sources: Sources,
    catalog: CatalogName,
    out: Annotated[str, typer.Option(help="where the dataset goes: a directory or any fsspec URL")],
    model: ModelName = "mini",
    device: Device = "auto",
    threshold: Threshold = None,
    gate_threshold: GateThreshold = None,
    no_gate: Annotated[
        bool, typer.Option("--no-gate", help="separate every query in every window that is not silent")
    ] = False,
    rate: Rate = "model",
    channels: Channels = "source",
    precision: Precision = "auto",
    residual: Annotated[bool, typer.Option("--residual", help="one more stem: what no query took")] = False,
    exclusive: Annotated[
        bool,
        typer.Option("--exclusive", help="queries share the mixture: stems and residual (included) add up to it"),
    ] = False,
    unit_seconds: UnitSeconds = 600.0,
    workers: Workers = None,
    max_gpu_hours: MaxGpuHours = None,
    retry_failed: RetryFailed = False,
    address: Address = None,
    metrics_port: MetricsPort = None,
    pushgateway: Pushgateway = None,
    metrics_job: MetricsJob = "soundquarry",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Separate every query of a catalog from every source, into a Parquet dataset. Give the same command again to
    resume."""
    from operators.settings import ExtractSettings

    settings = _checked(
        ExtractSettings, model=model, gate=not no_gate, threshold=threshold, gate_threshold=gate_threshold,
        rate=rate, channels=channels, precision=precision, residual=residual or exclusive, exclusive=exclusive,
    )  # fmt: skip
    _work(
        settings, dry_run, as_json, sources=tuple(sources), catalog=catalog, out=out, device=device,
        unit_seconds=unit_seconds, workers=workers, max_gpu_hours=max_gpu_hours, retry_failed=retry_failed,
        address=address, monitoring=_monitoring(metrics_port, pushgateway, metrics_job),
    )  # fmt: skip


def mine(
    sources: Sources,
    catalog: CatalogName,
    out: Annotated[str, typer.Option(help="where the library goes: a directory or any fsspec URL")],
    model: ModelName = "mini",
    device: Device = "auto",
    threshold: Threshold = None,
    gate_threshold: GateThreshold = None,
    rate: Rate = "model",
    channels: Channels = "source",
    precision: Precision = "auto",
    exclusive: Annotated[
        bool, typer.Option("--exclusive", help="queries share the mixture: what two of them hear is divided")
    ] = False,
    min_seconds: Annotated[float, typer.Option(help="shorter activity is no event, 0.1 to 5")] = 0.2,
    max_event_seconds: Annotated[int, typer.Option(help="longer activity is cut at multiples of it, 1 to 40")] = 30,
    padding: Annotated[float, typer.Option(help="seconds kept before and after an event, 0 to 5")] = 0.25,
    fade: Annotated[float, typer.Option(help="seconds of fade-in and fade-out, 0 to 5")] = 0.05,
    ucs_list: UcsList = None,
    unit_seconds: UnitSeconds = 600.0,
    workers: Workers = None,
    max_gpu_hours: MaxGpuHours = None,
    retry_failed: RetryFailed = False,
    address: Address = None,
    metrics_port: MetricsPort = None,
    pushgateway: Pushgateway = None,
    metrics_job: MetricsJob = "soundquarry",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Find every event of a catalog's queries, separated, ranked and measured: a library of sounds. Give the same
    command again to resume."""
    from operators.settings import MineSettings

    settings = _checked(
        MineSettings, model=model, threshold=threshold, gate_threshold=gate_threshold, rate=rate, channels=channels,
        precision=precision, exclusive=exclusive, min_seconds=min_seconds, max_event_seconds=max_event_seconds,
        padding_seconds=padding, fade_seconds=fade,
    )  # fmt: skip
    _work(
        settings, dry_run, as_json, sources=tuple(sources), catalog=catalog, out=out, device=device, ucs_list=ucs_list,
        unit_seconds=unit_seconds, workers=workers, max_gpu_hours=max_gpu_hours, retry_failed=retry_failed,
        address=address, monitoring=_monitoring(metrics_port, pushgateway, metrics_job),
    )  # fmt: skip


def _checked(settings: Any, **values: Any) -> Any:
    """The settings, or an end with a sentence about the first value that is out of range."""
    from pydantic import ValidationError

    try:
        return settings(**values)
    except ValidationError as error:
        wrong_use(_out_of_range(settings, error.errors()[0]))


def _out_of_range(settings: Any, found: Any) -> str:
    """What is wrong with the value of an option, and what it may be."""
    if not found["loc"]:
        return str(found["msg"].removeprefix("Value error, "))
    name = str(found["loc"][0])
    option = name.removesuffix("_seconds") if name in ("padding_seconds", "fade_seconds") else name
    given = f"--{option.replace('_', '-')} is {found['input']}"
    choices = found.get("ctx", {}).get("expected", "").replace("'", "")
    if choices:
        return f"{given}; choose {choices}"
    rules = settings.model_fields[name].metadata
    low, high = (next(getattr(rule, bound) for rule in rules if hasattr(rule, bound)) for bound in ("ge", "le"))
    return f"{given}; give a number from {low:g} to {high:g}"


def _monitoring(metrics_port: int | None, pushgateway: str | None, metrics_job: str) -> Any:
    """Who is told of the run."""
    from workflows.monitoring import Monitoring

    return Monitoring(metrics_port, pushgateway, metrics_job)


def _work(settings: Any, dry_run: bool, as_json: bool, *, monitoring: Any, **asked: Any) -> None:
    """Run a job of extract or mine, or estimate it."""
    from workflows.extract import ExtractJob

    job = ExtractJob(settings=settings, **asked)
    said = wrong_run(
        device=job.device, unit_seconds=job.unit_seconds, workers=job.workers, max_gpu_hours=job.max_gpu_hours,
        metrics_port=monitoring.metrics_port, pushgateway=monitoring.pushgateway,
    )  # fmt: skip
    if said:
        wrong_use(said)
    if dry_run:
        from workflows.dry_run import dry_run as estimate
        from workflows.dry_run import print_estimate

        print_estimate(run(lambda: estimate(job)), as_json=as_json)
        return
    summary = run(lambda: _separate(job, monitoring, as_json), interrupted=GOES_ON)
    if summary.lost:
        fail(
            f"{summary.lost} units were not committed; the reasons stand above. Run the same command again to try them."
        )


def _separate(job: Any, monitoring: Any, as_json: bool) -> Any:
    from rich.console import Console

    from workflows.extract import extract as run_extract
    from workflows.monitoring import monitored
    from workflows.progress import JsonProgress, TextProgress
    from workflows.reports.report import report as write_report

    console = Console(stderr=as_json)
    # Ray tells of lost nodes on standard output, between the lines that are read by programs.
    spoken = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
    told = monitored(JsonProgress() if as_json else TextProgress(console), monitoring)
    with told as progress:
        with spoken:
            summary = run_extract(job, progress)
        page = write_report(job.out)
    if not as_json:
        rate = summary.gate_skip_rate
        skipped = "" if rate is None else f", the gate skipped {rate:.0%} of the (window, query) pairs"
        of_stems = "" if job.settings.kind == "mine" else f"{summary.stems} stems with "
        found = f"{of_stems}{summary.events} events"
        spent = f"{summary.seconds / 60:.1f} minutes of audio in {summary.wall_seconds:.0f} s"
        console.print(f"{found} from {spent}{skipped}", highlight=False, soft_wrap=True)
        for sentence in _told(summary, job.max_gpu_hours):
            console.print(sentence, highlight=False, soft_wrap=True)
        console.print(f"dataset: {job.out}\nreport:  {page}", markup=False, highlight=False, soft_wrap=True)
    return summary


def _told(summary: Any, max_gpu_hours: float | None) -> Iterator[str]:
    """What else there is to say of a run."""
    if summary.deleted:
        yield f"sources that are gone: {summary.deleted}; their stems are kept, sources.parquet names them"
    if summary.begun_again:
        yield f"units begun again because a worker was lost: {summary.begun_again}"
    if summary.stopped:
        yield (
            f"stopped after {summary.gpu_seconds / 3600:.2f} GPU-hours (--max-gpu-hours {max_gpu_hours:g}): "
            f"{summary.left} of {summary.units + summary.left} units are left; give the same command again to go on"
        )
