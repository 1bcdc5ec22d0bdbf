"""The command `train`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from workflows.commands.endings import GOES_ON, run, wrong_use
from workflows.commands.options import Address, Device, Json, check_device


def train(
    recipe: Annotated[
        str | None, typer.Argument(help="a recipe's name, or a yaml file; without it the ready ones are listed")
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="clips: a folder, a table (csv, jsonl, parquet) with the column path, or 'synthesis', 'speech' or "
            "'instruments', which are made; may be repeated"
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="where states, curves and the model go: a folder or fsspec URL")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="change the recipe: mixtures.batch=8; may be repeated"),
    ] = None,
    validation: Annotated[
        list[str] | None, typer.Option(help="clips to validate on, like --data; default: a share of the clips")
    ] = None,
    validation_share: Annotated[float, typer.Option(help="that share, 0 to 1")] = 0.1,
    held_out: Annotated[
        Path | None, typer.Option(help="file with labels, one a line, that must not be trained on")
    ] = None,
    without_licence: Annotated[
        list[str] | None, typer.Option(metavar="WORD", help="leave out clips whose licence has this word, such as NC")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="training workers; one per GPU, or per group of cores")] = 1,
    mixers: Annotated[int, typer.Option(min=1, help="actors per worker that make mixtures")] = 1,
    device: Device = "auto",
    address: Address = None,
    show: Annotated[bool, typer.Option("--show", help="print the whole recipe, and do nothing")] = False,
    as_json: Json = False,
) -> None:
    """Train a separator from clips by a recipe; the same command goes on where it stopped."""
    from model.training.recipe_file import read_recipe

    if recipe is None:
        print_recipes(as_json=as_json)
        return
    resolved = run(lambda: read_recipe(recipe, settings or ()))
    if show:
        import yaml

        print(yaml.safe_dump(resolved.model_dump(mode="json"), sort_keys=False, allow_unicode=True), end="")
        return
    check_device(device)
    if not data:
        wrong_use("nothing to train on; give --data, or --data synthesis for sounds that are made here")
    if out is None:
        wrong_use("nowhere to write to; give --out")
    if not 0.0 < validation_share < 1.0:
        wrong_use(f"--validation-share is {validation_share:g}; give a number between 0 and 1")
    from workflows.label_file import held_out_labels
    from workflows.train import train as run_train
    from workflows.training.job import TrainJob
    from workflows.training.training_progress import TrainingProgress, print_summary

    job = TrainJob(
        recipe=resolved,
        recipe_name=recipe,
        data=tuple(data),
        out=out,
        validation=tuple(validation or ()),
        validation_share=validation_share,
        held_out_labels=run(lambda: held_out_labels(held_out)) if held_out else frozenset(),
        unwanted_licences=frozenset(without_licence or ()),
        workers=workers,
        mixers=mixers,
        device=device,
        address=address,
    )
    progress = TrainingProgress(resolved.schedule.steps, as_json=as_json)
    print_summary(run(lambda: run_train(job, progress), interrupted=GOES_ON), as_json=as_json)


def print_recipes(*, as_json: bool) -> None:
    """The ready recipes, each with what it is."""
    from model.training.recipe_file import read_recipe, recipe_names

    recipes = {name: read_recipe(name).about for name in recipe_names()}
    if as_json:
        print(json.dumps(recipes))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False)
    for name, about in recipes.items():
        table.add_row(f"[bold]{name}[/]", about)
    Console().print(table)
