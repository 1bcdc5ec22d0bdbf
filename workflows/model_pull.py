"""`soundquarry models pull NAME`: fetches a model's published files and makes one file of them.

One pull of a model at a time: a second one waits, and then finds the model there.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from model.registry import (
    HUB,
    KNOWN_MODELS,
    KnownModel,
    find_checkpoint,
    models_folder,
    no_such_model,
    shipped_models,
    stored_path,
)
from workflows.fetch import FetchError, fetch, no_room
from workflows.model_import import import_published
from workflows.pull_progress import PullProgress

Make = Callable[[list[Path], Path], None]


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
    """The model's one file, fetched and made unless it is there; raises FetchError or CheckpointError.

    The published files are removed afterwards, unless `keep_files`.
    """
    target, files_folder = stored_path(model), models_folder() / f"{model.name}.files"
    base = mirror()
    models_folder().mkdir(parents=True, exist_ok=True)
    with _alone(models_folder() / f"{model.name}.lock", progress, model.name):
        if target.is_file():
            return target
        files_folder.mkdir(exist_ok=True)
        check_room(model, files_folder)
        paths = [files_folder / file.name for file in model.files]
        for file, path in zip(model.files, paths, strict=True):
            progress.start(file.name, file.size_bytes)
            url = f"{base}/{file.path}"
            fetch(url, path, size_bytes=file.size_bytes, sha256=file.sha256, heard=progress.heard)
        progress.say(f"making {target.name} of {len(paths)} files ...")
        (make or make_clapsep)(paths, target)
        if not keep_files:
            shutil.rmtree(files_folder, ignore_errors=True)
    return target


def make_clapsep(paths: list[Path], target: Path) -> None:
    """One file of the checkpoint, the CLAP file and the tokenizer; their sha256 are known to be right."""
    checkpoint, clap, tokenizer = paths
    import_published(checkpoint, clap, tokenizer, target)


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


@contextlib.contextmanager
def _alone(path: Path, progress: PullProgress, name: str) -> Iterator[None]:
    with open(path, "a") as lock:  # the file stays: removing it would let two processes hold "it"
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"another pull of {name} is under way: waiting for it ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
