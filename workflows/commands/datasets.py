"""Commands on what was made: `verify`, `report`, `search` and `export`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from workflows.commands.endings import run, wrong_use
from workflows.commands.options import (
    Json,
)


def verify(
    out: Annotated[str, typer.Argument(help="the dataset")],
    decode: Annotated[bool, typer.Option("--decode", help="decode every stem too")] = False,
    as_json: Json = False,
) -> None:
    """Check a dataset against its plan: nothing lost, nothing twice, every file whole."""
    from workflows.verify import run_verify

    raise typer.Exit(run(lambda: run_verify(out, decode=decode, as_json=as_json)))


def report(out: Annotated[str, typer.Argument(help="the dataset")]) -> None:
    """Write OUT/report.html: one file with time lines, spectrograms, players and failures."""
    from workflows.reports.report import report as write_report

    print(run(lambda: write_report(out), interrupted="the report is as it was; give the same command again"))


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
        wrong_use(f"--top is {top}; give at least 1")
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
    print_hits(run(lambda: run_search(job)), as_json=as_json)


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
    from operators.export.plan import CONTAINERS, SHAPES
    from operators.export.selection import Selection
    from workflows.export import ExportJob, plan_export, print_plan, print_summary

    if shape is not None and shape not in SHAPES:
        wrong_use(f"--shape is {shape!r}; choose {' or '.join(SHAPES)}")
    if container not in CONTAINERS:
        wrong_use(f"--format is {container!r}; choose {' or '.join(CONTAINERS)}")
    if min_presence is not None and not 0.0 <= min_presence <= 1.0:
        wrong_use(f"--min-presence is {min_presence:g}; it is a probability, give a number from 0 to 1")
    if top is not None and top < 1:
        wrong_use(f"--top is {top}; give at least 1")
    if not -120.0 <= gain_db <= 120.0:
        wrong_use(f"--gain-db is {gain_db:g}; give a number from -120 to 120")
    if ucs and name is not None:
        wrong_use("--ucs is a --name by itself; give one of them")
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
        print_plan(run(lambda: plan_export(job)), job, as_json=as_json)
        return
    summary = run(
        lambda: _export(job, as_json),
        interrupted="files that are there are whole, and the index does not tell of them yet; give the same command "
        "with --overwrite",
    )
    print_summary(summary, as_json=as_json)


def _export(job: Any, as_json: bool) -> Any:
    from rich.console import Console

    from workflows.export import export as run_export
    from workflows.export_progress import ExportProgress

    with ExportProgress(Console(quiet=as_json)) as progress:
        return run_export(job, progress)
