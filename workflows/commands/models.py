"""Commands about models and the machine: `evaluate`, the group `models`, and `doctor`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from workflows.commands.endings import GOES_ON, run, wrong_use
from workflows.commands.options import Device, Json, ModelName, Precision, check_device

models = typer.Typer(no_args_is_help=False)
KnownName = Annotated[str, typer.Argument(metavar="NAME", help="a model's name, see `soundquarry models`")]


def _path(given: str) -> Path:
    if "://" in given:
        raise typer.BadParameter(f"{given} is a URL, and only paths are read here; fetch it first, and give its path")
    return Path(given)


def evaluate(
    list_csv: Annotated[
        Path, typer.Argument(metavar="LIST.csv", parser=_path, help="columns target_path, noise_path, snr_db, caption")
    ],
    root: Annotated[
        Path, typer.Option(metavar="PATH", parser=_path, help="folder that the paths of the list are relative to")
    ],
    model: ModelName = "mini",
    device: Device = "auto",
    precision: Precision = "auto",
    out: Annotated[
        Path | None,
        typer.Option(metavar="PATH", parser=_path, help="write the result, with every row, to this JSON file"),
    ] = None,
    negative: Annotated[bool, typer.Option("--negative", help="give the network the negative caption too")] = False,
    bss: Annotated[bool, typer.Option("--bss", help="add BSS-eval SDR improvement (slow)")] = False,
    unseen: Annotated[
        Path | None,
        typer.Option(metavar="PATH", parser=_path, help="file with labels: their rows are reported apart, as unseen"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure separation quality on a list of mixtures: SDR and SI-SDR improvement with 95 % intervals."""
    from dataclasses import asdict

    from workflows.evaluate import evaluate as run_evaluate
    from workflows.evaluate import summarise

    check_device(device)
    done = run(
        lambda: run_evaluate(list_csv, root, model, device=device, precision=precision, negative=negative, bss=bss)
    )
    rows = done.rows
    result: dict[str, Any] = {
        **summarise(rows),
        "model": model,
        "model_signature": done.model_signature,
        "device": done.device,
        "precision": done.precision,
        "rows": [asdict(row) for row in rows],
    }
    if unseen is not None:
        labels = set(run(lambda: unseen.read_text(encoding="utf-8")).split())
        result["seen"] = summarise([row for row in rows if row.target_label not in labels])
        result["unseen"] = summarise([row for row in rows if row.target_label in labels])
    if out is not None:
        run(lambda: out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8"))
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


@models.callback(invoke_without_command=True)
def list_models(context: typer.Context, as_json: Json = False) -> None:
    """The models one can name: those that come along, and those that can be fetched."""
    context.obj = as_json  # `models --json show NAME` means the same as `models show NAME --json`
    if context.invoked_subcommand is None:
        from workflows.model_list import print_models

        run(lambda: print_models(as_json=as_json))


@models.command()
def show(context: typer.Context, name: KnownName, as_json: Json = False) -> None:
    """All about one model: files, sizes, sha256, licence, where it lies, signature."""
    from workflows.model_list import print_model

    run(lambda: print_model(name, as_json=as_json or context.obj))


@models.command()
def pull(
    context: typer.Context,
    name: KnownName,
    keep_files: Annotated[
        bool, typer.Option("--keep-files", help="keep the published files beside the one that is made of them")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fetch a model: resumed where it stopped, verified, and made into one file in the models' folder."""
    from workflows.model_pull import pull_by_name

    run(lambda: pull_by_name(name, keep_files=keep_files, as_json=as_json or context.obj), interrupted=GOES_ON)


@models.command("import")
def import_files(
    context: typer.Context,
    checkpoint: Annotated[Path, typer.Option(help="CLAPSep's published best_model.ckpt")],
    clap: Annotated[Path, typer.Option(help="laion-clap's music_audioset_epoch_15_esc_90.14.pt")],
    tokenizer: Annotated[
        Path, typer.Option(help="roberta-base's tokenizer.json, or a folder with it, or with vocab.json and merges.txt")
    ],
    unverified: Annotated[
        bool, typer.Option("--unverified", help="take weights that were trained with the authors' code; needs --out")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="the file to write; default: clapsep in the models' folder")] = None,
    as_json: Json = False,
) -> None:
    """Make the one file of CLAPSep from its published files. No network is needed, nothing in them is run."""
    from model.registry import CLAPSEP, stored_path
    from workflows.model_import import import_files

    place = stored_path(CLAPSEP)
    if unverified and (out is None or out.resolve() == place.resolve()):
        wrong_use(
            f"--unverified needs a place of its own, since {place} is that of the published weights: give "
            "--out FILE.safetensors here, and --model FILE.safetensors where it is used"
        )
    as_json = as_json or context.obj
    run(lambda: import_files(checkpoint, clap, tokenizer, out, verify=not unverified, as_json=as_json))


def doctor(
    quick: Annotated[
        bool,
        typer.Option("--quick", help="only what may change while a container lives: its health check, in a second"),
    ] = False,
    as_json: Json = False,
) -> None:
    """Check this machine: what is missing, and how to get it."""
    from workflows.doctor import run_doctor

    raise typer.Exit(run_doctor(quick=quick, as_json=as_json))
