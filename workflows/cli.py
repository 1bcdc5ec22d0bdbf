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

app = typer.Typer(
    name="soundquarry",
    help="Pulls named sounds out of media archives: stems with metadata, in Parquet.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Json = Annotated[bool, typer.Option("--json", help="one JSON object per line instead of text")]
ModelName = Annotated[str, typer.Option("--model", help="a shipped model's name, or the path of a checkpoint")]


@app.command()
def extract(
    sources: Annotated[
        list[str], typer.Argument(help="files, directories, globs, tar archives; local or any fsspec URL")
    ],
    catalog: Annotated[str, typer.Option(help="catalog in YAML, or the name of a ready one (everyday, animals)")],
    out: Annotated[str, typer.Option(help="where the dataset goes: a directory or any fsspec URL")],
    model: ModelName = "mini",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    threshold: Annotated[
        float | None,
        typer.Option(
            help="presence (0 to 1) from which a query is separated, and heard in an event; default: the model's"
        ),
    ] = None,
    no_gate: Annotated[
        bool, typer.Option("--no-gate", help="separate every query in every window that is not silent")
    ] = False,
    unit_seconds: Annotated[float, typer.Option(help="length of a unit of work, 1 to 600 seconds")] = 600.0,
    workers: Annotated[int | None, typer.Option(help="separating actors; default: one per GPU, or per 8 cores")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="try permanently failed sources again")] = False,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join; default: RAY_ADDRESS, else an embedded one")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be done, and do nothing")] = False,
    as_json: Json = False,
) -> None:
    """Separate every query of a catalog from every source, into a Parquet dataset. Give the same command again to
    resume."""
    from operators.settings import ExtractSettings
    from workflows.extract import ExtractJob

    if device not in ("auto", "cpu", "cuda"):
        _wrong_use(f"--device is {device!r}; choose auto, cpu or cuda")
    if threshold is not None and not 0.0 <= threshold <= 1.0:
        _wrong_use(f"--threshold is {threshold:g}; it is a probability, give a number from 0 to 1")
    if not 1.0 <= unit_seconds <= 600.0:
        _wrong_use(f"--unit-seconds is {unit_seconds:g}; give a number from 1 to 600")
    if workers is not None and workers < 1:
        _wrong_use(f"--workers is {workers}; give at least 1")
    job = ExtractJob(
        sources=tuple(sources),
        catalog=catalog,
        out=out,
        settings=ExtractSettings(model=model, gate=not no_gate, threshold=threshold),
        device=device,
        unit_seconds=unit_seconds,
        workers=workers,
        retry_failed=retry_failed,
        address=address,
    )
    if dry_run:
        from workflows.dry_run import dry_run as estimate
        from workflows.dry_run import print_estimate

        print_estimate(_run(lambda: estimate(job)), as_json=as_json)
        return
    summary = _run(lambda: _extract(job, as_json))
    if summary.lost:
        _fail(
            f"{summary.lost} units were not committed; the reasons stand above. Run the same command again to try them."
        )


def _extract(job: Any, as_json: bool) -> Any:
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
        found = f"{summary.stems} stems with {summary.events} events"
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
    from operators.failure import SourceFailure
    from operators.search import NothingToSearchError, SearchError
    from operators.sources import SourcesNotFoundError
    from workflows.cluster import ClusterError
    from workflows.evaluate import ListError

    try:
        return work()
    except (CatalogError, ListError, SourcesNotFoundError, SignatureError, SearchError) as error:
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
