"""Commands about models and the machine: the group `models`, and `doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workflows.commands.endings import GOES_ON, run, wrong_use
from workflows.commands.options import Json

models = typer.Typer(no_args_is_help=False)
KnownName = Annotated[str, typer.Argument(metavar="NAME", help="a model's name, see `soundquarry models`")]


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
