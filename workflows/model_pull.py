"""`soundquarry models pull NAME`: fetches a model's published files and makes one file of them.

One pull of a model at a time: a second one waits, and then finds the model there.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from model.registry import (
    CHECKPOINT,
    CLAP,
    HUB,
    KNOWN_MODELS,
    TOKENIZER,
    KnownModel,
    find_checkpoint,
    models_folder,
    no_such_model,
    shipped_models,
)
from workflows.fetch import FetchError, fetch, no_room
from workflows.model_import import import_published
from workflows.model_store import Stored, alone, stored, sweep, worded
from workflows.pull_progress import PullProgress

Make = Callable[[Mapping[str, Path], Path], None]
"""Makes a model's one file of the published ones, which it is given by role."""


def pull_by_name(name: str, *, keep_files: bool, as_json: bool) -> None:
    """The command: pull, and say where the model lies."""
    model = pullable(name)
    if model is None:
        path = find_checkpoint(name)
    else:
        with PullProgress(Console(stderr=True), as_json=as_json) as progress:
            path = pull(model, progress, keep_files=keep_files)
    if as_json:
        print(json.dumps({"event": "done", "name": name, "path": str(path)}))
    else:
        print(f"{name} {'comes along' if model is None else 'is here'}: {path}")


def pullable(name: str) -> KnownModel | None:
    """The model of a name; None where it comes along. Raises FileNotFoundError for a name that stands for nothing."""
    if name in shipped_models():
        return None
    if name not in KNOWN_MODELS:
        raise no_such_model(name)
    return KNOWN_MODELS[name]


def pull(model: KnownModel, progress: PullProgress, *, keep_files: bool = False, make: Make | None = None) -> Path:
    """The model's one file, fetched and made unless it is there and whole; raises FetchError or CheckpointError.

    The published files are removed afterwards, unless `keep_files`. For a file that is there nothing has to be written.
    """
    folder, files_folder = models_folder(), models_folder() / f"{model.name}.files"
    place = stored(model)
    if not _is_here(place):
        base = mirror()
        with worded(folder):
            folder.mkdir(parents=True, exist_ok=True)
        waiting = f"another pull of {model.name} is under way: waiting for it ..."
        with alone(folder / f"{model.name}.lock", lambda: progress.say(waiting)):
            place = stored(model)
            if not _is_here(place):
                _fetch_and_make(model, place, files_folder, base, progress, make or make_clapsep)
    if not keep_files:
        shutil.rmtree(files_folder, ignore_errors=True)
    sweep(place.path)
    return place.path


def _is_here(place: Stored) -> bool:
    """Whether nothing needs to be fetched. Raises FetchError where something else has the model's name."""
    if place.state == "whole" and not place.published:
        raise FetchError(
            f"{place.path} does not hold the published weights; move it away, and name it by its path (--model), then "
            "pull again"
        )
    return place.state == "whole"


def make_clapsep(files: Mapping[str, Path], target: Path) -> None:
    """One file of the checkpoint, the CLAP file and the tokenizer."""
    import_published(files[CHECKPOINT], files[CLAP], files[TOKENIZER], target)


def mirror() -> str:
    """What the paths of published files are appended to: the hub, or `$SOUNDQUARRY_MODELS_URL`."""
    base = os.environ.get("SOUNDQUARRY_MODELS_URL", HUB).rstrip("/")
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise FetchError(
            f"SOUNDQUARRY_MODELS_URL is {base!r}: give an address such as https://mirror.example/models; files on a "
            "disk are taken by `soundquarry models import`"
        )
    return base


def check_room(model: KnownModel, files_folder: Path) -> None:
    """Raises FetchError where the rest of the files and the one that is made of them do not fit."""
    present = sum(path.stat().st_size for path in files_folder.iterdir())
    needed = max(0, model.download_bytes - present) + model.size_bytes
    if shutil.disk_usage(files_folder).free < needed:
        raise no_room(files_folder.parent, needed)


def _fetch_and_make(
    model: KnownModel, place: Stored, files_folder: Path, base: str, progress: PullProgress, make: Make
) -> None:
    if place.state == "damaged":
        progress.say(f"{place.path} is damaged, and is fetched again")
    with worded(files_folder):
        files_folder.mkdir(exist_ok=True)
    check_room(model, files_folder)
    files = {file.role: files_folder / file.name for file in model.files}
    for file in model.files:
        progress.start(file.name, file.size_bytes)
        url = f"{base}/{file.path}"
        fetch(url, files[file.role], size_bytes=file.size_bytes, sha256=file.sha256, heard=progress.heard)
    progress.say(f"making {place.path.name} of {len(files)} files ...")
    make(files, place.path)
