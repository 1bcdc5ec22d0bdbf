"""The command line. It parses, calls one workflow, and turns errors into a sentence and an exit code.

Exit codes: 0 all done (bad sources included, and counted), 1 the job failed, 2 wrong use. torch and ray are imported
where a command needs them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from workflows.options import (
    Address,
    CatalogName,
    Channels,
    Device,
    DryRun,
    Json,
    ModelName,
    Rate,
    RetryFailed,
    Sources,
    Threshold,
    UcsList,
    UnitSeconds,
    Workers,
)

app = typer.Typer(
    name="soundquarry",
    help="Pulls named sounds out of media archives: stems with metadata, in Parquet.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.command()
def extract(
    sources: Sources,
    catalog: CatalogName,
    out: Annotated[str, typer.Option(help="where the dataset goes: a directory or any fsspec URL")],
    model: ModelName = "mini",
    device: Device = "auto",
    threshold: Threshold = None,
    no_gate: Annotated[
        bool, typer.Option("--no-gate", help="separate every query in every window that is not silent")
    ] = False,
    rate: Rate = "model",
    channels: Channels = "source",
    residual: Annotated[bool, typer.Option("--residual", help="one more stem: what no query took")] = False,
    exclusive: Annotated[
        bool,
        typer.Option("--exclusive", help="queries share the mixture: stems and residual (included) add up to it"),
    ] = False,
    unit_seconds: UnitSeconds = 600.0,
    workers: Workers = None,
    retry_failed: RetryFailed = False,
    address: Address = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Separate every query of a catalog from every source, into a Parquet dataset. Give the same command again to
    resume."""
    from operators.settings import ExtractSettings

    settings = _checked(
        ExtractSettings, model=model, gate=not no_gate, threshold=threshold, rate=rate, channels=channels,
        residual=residual or exclusive, exclusive=exclusive,
    )  # fmt: skip
    _work(
        settings, dry_run, as_json, sources=tuple(sources), catalog=catalog, out=out, device=device,
        unit_seconds=unit_seconds, workers=workers, retry_failed=retry_failed, address=address,
    )  # fmt: skip


@app.command()
def mine(
    sources: Sources,
    catalog: CatalogName,
    out: Annotated[str, typer.Option(help="where the library goes: a directory or any fsspec URL")],
    model: ModelName = "mini",
    device: Device = "auto",
    threshold: Threshold = None,
    rate: Rate = "model",
    channels: Channels = "source",
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
    retry_failed: RetryFailed = False,
    address: Address = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Find every event of a catalog's queries, separated, ranked and measured: a library of sounds. Give the same
    command again to resume."""
    from operators.settings import MineSettings

    settings = _checked(
        MineSettings, model=model, threshold=threshold, rate=rate, channels=channels, exclusive=exclusive,
        min_seconds=min_seconds, max_event_seconds=max_event_seconds, padding_seconds=padding, fade_seconds=fade,
    )  # fmt: skip
    _work(
        settings, dry_run, as_json, sources=tuple(sources), catalog=catalog, out=out, device=device, ucs_list=ucs_list,
        unit_seconds=unit_seconds, workers=workers, retry_failed=retry_failed, address=address,
    )  # fmt: skip


def _checked(settings: Any, **values: Any) -> Any:
    """The settings, or an end with a sentence about the first value that is out of range."""
    from pydantic import ValidationError

    try:
        return settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        said = first["msg"].removeprefix("Value error, ")
        option = "-".join(str(part) for part in first["loc"]).replace("_", "-")
        _wrong_use(f"--{option} is {first['input']}: {said}" if option else said)


def _work(settings: Any, dry_run: bool, as_json: bool, **asked: Any) -> None:
    """Run a job of extract or mine, or estimate it."""
    from workflows.extract import ExtractJob

    job = ExtractJob(settings=settings, **asked)
    if job.device not in ("auto", "cpu", "cuda"):
        _wrong_use(f"--device is {job.device!r}; choose auto, cpu or cuda")
    if not 1.0 <= job.unit_seconds <= 600.0:
        _wrong_use(f"--unit-seconds is {job.unit_seconds:g}; give a number from 1 to 600")
    if job.workers is not None and job.workers < 1:
        _wrong_use(f"--workers is {job.workers}; give at least 1")
    if dry_run:
        from workflows.dry_run import dry_run as estimate
        from workflows.dry_run import print_estimate

        print_estimate(_run(lambda: estimate(job)), as_json=as_json)
        return
    summary = _run(lambda: _separate(job, as_json))
    if summary.lost:
        _fail(
            f"{summary.lost} units were not committed; the reasons stand above. Run the same command again to try them."
        )


def _separate(job: Any, as_json: bool) -> Any:
    from rich.console import Console

    from workflows.extract import extract as run_extract
    from workflows.progress import JsonProgress, TextProgress
    from workflows.report import report as write_report

    console = Console(stderr=as_json)
    summary = run_extract(job, JsonProgress() if as_json else TextProgress(console))
    page = write_report(job.out)
    if not as_json:
        rate = summary.gate_skip_rate
        skipped = "" if rate is None else f", the gate skipped {rate:.0%} of the (window, query) pairs"
        of_stems = "" if job.settings.kind == "mine" else f"{summary.stems} stems with "
        found = f"{of_stems}{summary.events} events"
        spent = f"{summary.seconds / 60:.1f} minutes of audio in {summary.wall_seconds:.0f} s"
        console.print(f"{found} from {spent}{skipped}", highlight=False, soft_wrap=True)
        console.print(f"dataset: {job.out}\nreport:  {page}", markup=False, highlight=False, soft_wrap=True)
    return summary


@app.command()
def evaluate(
    list_csv: Annotated[
        Path, typer.Argument(metavar="LIST.csv", help="columns target_path, noise_path, snr_db, caption")
    ],
    root: Annotated[Path, typer.Option(help="folder that the paths of the list are relative to")],
    model: ModelName = "mini",
    out: Annotated[Path | None, typer.Option(help="write the result, with every row, to this JSON file")] = None,
    negative: Annotated[bool, typer.Option("--negative", help="give the network the negative caption too")] = False,
    bss: Annotated[bool, typer.Option("--bss", help="add BSS-eval SDR improvement (slow)")] = False,
    unseen: Annotated[
        Path | None, typer.Option(help="file with labels: their rows are reported apart, as unseen")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure separation quality on a list of mixtures: SDR and SI-SDR improvement with 95 % intervals."""
    from dataclasses import asdict

    from workflows.evaluate import evaluate as run_evaluate
    from workflows.evaluate import summarise

    rows = _run(lambda: run_evaluate(list_csv, root, model, negative=negative, bss=bss))
    result: dict[str, Any] = {**summarise(rows), "model": model, "rows": [asdict(row) for row in rows]}
    if unseen is not None:
        labels = set(_run(lambda: unseen.read_text(encoding="utf-8")).split())
        result["seen"] = summarise([row for row in rows if row.target_label not in labels])
        result["unseen"] = summarise([row for row in rows if row.target_label in labels])
    if out is not None:
        _run(lambda: out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8"))
    if as_json:
        print(json.dumps({key: value for key, value in result.items() if key != "rows"}))
        return
    for name in ("all", "seen", "unseen"):
        part = result if name == "all" else result.get(name)
        if part and part["n"]:
            low, high = part["sdri_db_interval"]
            si_low, si_high = part["si_sdri_db_interval"]
            print(
                f"{name:7} n {part['n']:4}   SDRi {part['sdri_db']:6.2f} dB [{low:.2f}, {high:.2f}]   "
                f"SI-SDRi {part['si_sdri_db']:6.2f} dB [{si_low:.2f}, {si_high:.2f}]"
            )


@app.command()
def verify(
    out: Annotated[str, typer.Argument(help="the dataset")],
    decode: Annotated[bool, typer.Option("--decode", help="decode every stem too")] = False,
    as_json: Json = False,
) -> None:
    """Check a dataset against its plan: nothing lost, nothing twice, every file whole."""
    from workflows.verify import run_verify

    raise typer.Exit(_run(lambda: run_verify(out, decode=decode, as_json=as_json)))


@app.command()
def search(
    out: Annotated[str, typer.Argument(help="the dataset, or a library of events")],
    text: Annotated[str | None, typer.Argument(help="what it sounds like, worded like a caption")] = None,
    audio: Annotated[
        str | None, typer.Option(help="a recording of what it sounds like, beside the text or alone")
    ] = None,
    unwanted: Annotated[
        list[str] | None, typer.Option("--not", metavar="TEXT", help="what it should not sound like; may be repeated")
    ] = None,
    query: Annotated[str | None, typer.Option(metavar="ID", help="only among the rows of this query")] = None,
    top: Annotated[int, typer.Option(help="how many to show")] = 10,
    no_duplicates: Annotated[
        bool, typer.Option("--no-duplicates", help="of events that sound the same only the best (libraries)")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option("--model", help="path of the checkpoint, where the dataset's model does not come along"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the stems or events that sound most like a text or a recording."""
    from workflows.search import SearchJob, print_hits
    from workflows.search import search as run_search

    if top < 1:
        _wrong_use(f"--top is {top}; give at least 1")
    job = SearchJob(
        out=out,
        text=text,
        audio=audio,
        unwanted=tuple(unwanted or ()),
        query_id=query,
        top=top,
        duplicates=not no_duplicates,
        model=model,
    )
    print_hits(_run(lambda: run_search(job)), as_json=as_json)


@app.command()
def report(out: Annotated[str, typer.Argument(help="the dataset")]) -> None:
    """Write OUT/report.html: one file with time lines, spectrograms, players and failures."""
    from workflows.report import report as write_report

    print(_run(lambda: write_report(out)))


@app.command()
def export(
    dataset: Annotated[str, typer.Argument(metavar="OUT", help="a dataset of stems, or a library of events")],
    to: Annotated[str, typer.Option(help="where the files go: a directory or any fsspec URL")],
    shape: Annotated[
        str | None,
        typer.Option(help="stems (full length, in sync with the source) or events; default: what the dataset holds"),
    ] = None,
    query: Annotated[list[str] | None, typer.Option(help="only this query (its id); may be given again")] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="only sources whose URI matches this glob; may be given again")
    ] = None,
    min_presence: Annotated[float | None, typer.Option(help="only what reaches this presence, 0 to 1")] = None,
    top: Annotated[int | None, typer.Option(help="only the best events of each query, so many")] = None,
    no_duplicates: Annotated[
        bool, typer.Option("--no-duplicates", help="without events that repeat a better one (libraries)")
    ] = False,
    container: Annotated[str, typer.Option("--format", help="wav or flac, 24 bit")] = "wav",
    gain_db: Annotated[float, typer.Option(help="gain of every file, so that they still add up")] = 0.0,
    name: Annotated[
        str | None, typer.Option(help="names, with fields in braces: '{folder}/{source}/{query}.{ext}'")
    ] = None,
    ucs: Annotated[bool, typer.Option("--ucs", help="names of the Universal Category System")] = False,
    creator: Annotated[str | None, typer.Option(help="creator in UCS names")] = None,
    source_id: Annotated[str | None, typer.Option(help="source in UCS names; default: the source's name")] = None,
    replace_unsafe: Annotated[
        bool, typer.Option("--replace-unsafe", help="put _ for characters that not every system can hold")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace files that are there")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list the files that would be written")] = False,
    as_json: Json = False,
) -> None:
    """Write stems or events as audio files: WAV (BWF) or FLAC, in place on the source's time line."""
    from operators.export_plan import CONTAINERS, SHAPES
    from operators.export_selection import Selection
    from workflows.export import ExportJob, plan_export, print_plan, print_summary
    from workflows.export import export as run_export

    if shape is not None and shape not in SHAPES:
        _wrong_use(f"--shape is {shape!r}; choose {' or '.join(SHAPES)}")
    if container not in CONTAINERS:
        _wrong_use(f"--format is {container!r}; choose {' or '.join(CONTAINERS)}")
    if min_presence is not None and not 0.0 <= min_presence <= 1.0:
        _wrong_use(f"--min-presence is {min_presence:g}; it is a probability, give a number from 0 to 1")
    if top is not None and top < 1:
        _wrong_use(f"--top is {top}; give at least 1")
    if not -120.0 <= gain_db <= 120.0:
        _wrong_use(f"--gain-db is {gain_db:g}; give a number from -120 to 120")
    if ucs and name is not None:
        _wrong_use("--ucs is a --name by itself; give one of them")
    job = ExportJob(
        dataset=dataset,
        to=to,
        shape=shape,
        selection=Selection(queries=tuple(query or ()), sources=tuple(source or ())),
        min_presence=min_presence,
        top=top,
        no_duplicates=no_duplicates,
        container=container,
        gain_db=gain_db,
        name=name,
        ucs=ucs,
        creator_id=creator,
        source_id=source_id,
        replace_unsafe=replace_unsafe,
        overwrite=overwrite,
    )
    if dry_run:
        print_plan(_run(lambda: plan_export(job)), job, as_json=as_json)
        return
    print_summary(_run(lambda: run_export(job)), as_json=as_json)


@app.command()
def models(as_json: Json = False) -> None:
    """List the models that come along."""
    from workflows.model_list import print_models

    _run(lambda: print_models(as_json=as_json))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check this machine: what is missing, and how to get it."""
    from workflows.doctor import run_doctor

    raise typer.Exit(run_doctor(as_json=as_json))


def _run(work: Any) -> Any:
    """The result of `work`; errors that a person can act on become one message and an exit code."""
    from model.checkpoint import CheckpointError
    from operators.catalog import CatalogError
    from operators.dataset import SignatureError
    from operators.export_selection import ExportError
    from operators.failure import SourceFailure
    from operators.manifest_rows import ManifestError
    from operators.search import NothingToSearchError, SearchError
    from operators.sources import SourcesNotFoundError
    from workflows.cluster import ClusterError
    from workflows.evaluate import ListError

    try:
        return work()
    except (
        CatalogError,
        ExportError,
        ListError,
        ManifestError,
        SearchError,
        SignatureError,
        SourcesNotFoundError,
    ) as error:
        _wrong_use(str(error))
    except (
        CheckpointError,
        ClusterError,
        NothingToSearchError,
        SourceFailure,
        FileNotFoundError,
        PermissionError,
        NotADirectoryError,
        OSError,
    ) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted; run the same command again to go on where it stopped", code=130)


def _fail(message: str, *, code: int = 1) -> NoReturn:
    print(f"soundquarry: {message}", file=sys.stderr)
    raise typer.Exit(code)


def _wrong_use(message: str) -> NoReturn:
    _fail(message, code=2)


def main() -> None:
    """Entry point of the console command."""
    app()


if __name__ == "__main__":
    main()
