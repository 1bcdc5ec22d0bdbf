"""The group `captions`: what training without captions of its sounds retrieves from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from workflows.commands.endings import run
from workflows.commands.options import Device, Json, ModelName, check_device

captions = typer.Typer(no_args_is_help=True, help="Captions of everyday sounds, and the cache of their embeddings.")
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace the file that is there")]


@captions.command()
def generate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="text file to write, one caption a line")],
    count: Annotated[int, typer.Option("--count", min=1, max=1_000_000, help="how many, all different")] = 20_000,
    seed: Annotated[int, typer.Option("--seed", help="same seed and count, same file")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Make captions of everyday sounds by a grammar. No model and no network is needed."""
    from workflows.captions import generate_captions

    print(f"{run(lambda: generate_captions(file, count, seed, overwrite=overwrite)):,} captions in {file}")


@captions.command()
def prompt(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="file to write; default: print it")] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="captions to ask for at a time")] = 1000,
    overwrite: Overwrite = False,
) -> None:
    """The prompt that asks a language model for captions; put its answers in one file, one caption a line."""
    from workflows.captions import write_prompt

    run(lambda: write_prompt(file, count, overwrite=overwrite))


@captions.command()
def cache(
    captions_file: Annotated[
        Path, typer.Argument(metavar="CAPTIONS_FILE", help="captions: one a line, or a column of a .csv or .jsonl")
    ],
    to: Annotated[Path, typer.Option("--to", metavar="CACHE", help="file to write, as captions.safetensors")],
    model: ModelName = "mini",
    template: Annotated[
        str, typer.Option("--template", help="what each caption is put into: 'the sound of {}'; default: as it is")
    ] = "{}",
    column: Annotated[str, typer.Option("--column", help="column of a .csv or .jsonl")] = "caption",
    device: Device = "auto",
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Embed captions by the text tower of a model. What is there already of the same captions is kept."""
    from workflows.captions import cache_captions

    check_device(device)
    done = run(
        lambda: cache_captions(captions_file, to, model, template, column=column, device=device, overwrite=overwrite)
    )
    found = {
        "path": str(done.path),
        "captions": len(done.cache),
        "repeated": done.read - len(done.cache),
        "towers": done.cache.towers,
        "template": done.cache.template,
        "key": done.cache.key,
        "kept": done.kept,
    }
    if as_json:
        print(json.dumps(found))
        return
    repeated = f" ({found['repeated']:,} repeated ones dropped)" if found["repeated"] else ""
    kept = ", there already" if done.kept else ""
    print(f"{len(done.cache):,} captions{repeated} in {to}{kept}, embedded by {done.cache.towers}")
