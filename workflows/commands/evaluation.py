"""Commands about quality: `evaluate` on a list of mixtures, and `compare` for two results of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from workflows.commands.endings import fail, run, wrong_use
from workflows.commands.options import QUERY_KINDS, Address, Device, Json, ModelName, Precision, Workers, check_device
from workflows.commands.run_checks import wrong_run


def _path(given: str) -> Path:
    if "://" in given:
        raise typer.BadParameter(f"{given} is a URL, and only paths are read here; fetch it first, and give its path")
    return Path(given)


def evaluate(
    list_csv: Annotated[
        Path,
        typer.Argument(
            metavar="LIST.csv",
            parser=_path,
            help="columns target_path, noise_path, snr_db, caption; or a list of CLAPSep, AudioSep, DCASE 2024 task 9 "
            "or BiModal as it was published",
        ),
    ],
    root: Annotated[
        Path, typer.Option(metavar="PATH", parser=_path, help="folder that the paths of the list are relative to")
    ],
    model: ModelName = "mini",
    device: Device = "auto",
    precision: Precision = "auto",
    query: Annotated[str, typer.Option("--query", help="what is asked with: text, audio or both")] = "text",
    exemplars: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            parser=_path,
            help="recordings to ask with: a folder with one subfolder per class, or a CSV with label and path; "
            "default: other targets of the same class in the list",
        ),
    ] = None,
    negative: Annotated[
        bool, typer.Option("--negative", help="give the network what is not wanted too, in words or as a recording")
    ] = False,
    absent: Annotated[
        bool, typer.Option("--absent", help="ask each mixture for what is not in it, too: how much comes back")
    ] = False,
    bss: Annotated[bool, typer.Option("--bss", help="add BSS-eval's SDR, its improvement, SIR and SAR (slow)")] = False,
    unseen: Annotated[
        Path | None,
        typer.Option(metavar="PATH", parser=_path, help="file with labels: their rows are reported apart, as unseen"),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", help="only so many mixtures, from the first on")] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="PATH", parser=_path, help="write the result, with every row, to this JSON file"),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="PATH", parser=_path, help="write the rows to this CSV file")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="PATH", parser=_path, help="draw the classes into this PNG, SVG or PDF file"),
    ] = None,
    workers: Workers = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Measure separation quality on a list of mixtures: SDR and SI-SDR improvement with 95 % intervals."""
    from rich.console import Console

    check_device(device)
    if query not in QUERY_KINDS:
        wrong_use(f"--query is {query!r}; choose {', '.join(QUERY_KINDS[:-1])} or {QUERY_KINDS[-1]}")
    if said := wrong_run(device=device, workers=workers):
        wrong_use(said)
    if exemplars is not None and query == "text":
        wrong_use(f"--exemplars {exemplars} are recordings to ask with; add --query audio or --query both")
    if plot is not None:
        _check_chart(plot)

    from workflows.evaluate import EvaluateJob
    from workflows.evaluation.questions import Asking
    from workflows.evaluation.report import result_of, rows_as_csv, tables_of

    labels = None if unseen is None else frozenset(run(lambda: unseen.read_text(encoding="utf-8")).split())
    job = EvaluateJob(
        list_csv, root, model, Asking(query, negative, absent, exemplars),  # type: ignore[arg-type]
        bss=bss, limit=limit, device=device, precision=precision, workers=workers, address=address,
    )  # fmt: skip
    done = run(lambda: _with_progress(job))
    result = result_of(done, labels)
    if out is not None:
        run(lambda: out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8"))
    if csv is not None:
        run(lambda: csv.write_text(rows_as_csv(done.rows), encoding="utf-8"))
    if as_json:
        print(json.dumps({key: value for key, value in result.items() if key != "rows"}))
    else:
        Console().print(tables_of(result, done.listed.published), soft_wrap=True)
    if plot is not None:
        run(lambda: _draw(result, plot))
    if result["errors"]:
        fail(f"{result['errors']} of {len(done.rows)} mixtures could not be scored; the reasons stand in the result")


def compare(
    first: Annotated[Path, typer.Argument(metavar="A.json", parser=_path, help="what evaluate --out wrote")],
    second: Annotated[Path, typer.Argument(metavar="B.json", parser=_path, help="the same of another model or option")],
    as_json: Json = False,
) -> None:
    """Compare two evaluations of one list, mixture by mixture: what the second gains, with 95 % intervals."""
    from rich.console import Console

    from workflows.evaluation.comparison import compare as compare_results
    from workflows.evaluation.report import comparison_table

    told = run(lambda: compare_results(first, second))
    if as_json:
        print(json.dumps(told))
    else:
        Console().print(comparison_table(told), soft_wrap=True)


def _with_progress(job: Any) -> Any:
    """The evaluation, with a line on standard error that says how far it is."""
    from rich.console import Console

    from workflows.evaluate import evaluate as run_evaluate
    from workflows.live_line import LiveLine

    line = LiveLine(Console(stderr=True))
    line.start("starting ...")
    try:
        return run_evaluate(job, lambda done, of: line.show(done / of, f"{done} of {of} mixtures"))
    finally:
        line.stop()


def _check_chart(plot: Path) -> None:
    from workflows.evaluation.chart import ChartError, check_chart

    try:
        check_chart(plot)
    except ChartError as error:
        wrong_use(str(error))


def _draw(result: Any, plot: Path) -> None:
    from workflows.evaluation.chart import ChartError, draw_chart

    try:
        draw_chart(result, plot)
    except ChartError as error:
        fail(str(error))
