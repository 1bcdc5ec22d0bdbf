"""Captions: made by the grammar, asked of a language model, embedded into the cache that training retrieves from."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model.captions.caption_file import read_captions, write_captions, write_whole
from workflows.writable import check_writable

if TYPE_CHECKING:  # torch takes seconds, and most of this needs none of it
    from rich.console import Console

    from model.caption_cache import CaptionCache


class AlreadyThereError(ValueError):
    """A file that would be written over is there; the message says how to go on."""


@dataclass(frozen=True)
class Cached:
    """A cache as it lies on disk, and whether it was there before."""

    cache: CaptionCache
    path: Path
    read: int
    """Captions in the file, repeated ones too."""
    kept: bool


def generate_captions(path: Path, count: int, seed: int, *, overwrite: bool = False) -> int:
    """Write so many different captions to a file, one a line; returns their number."""
    from model.captions.grammar import captions

    refuse_to_overwrite(path, overwrite=overwrite)
    made = captions(count, seed)
    write_captions(path, made)
    return len(made)


def write_prompt(path: Path | None, count: int, *, overwrite: bool = False) -> None:
    """Write the prompt to a file, or print it."""
    from model.captions.prompt import prompt

    if path is None:
        print(prompt(count), end="")
        return
    refuse_to_overwrite(path, overwrite=overwrite)
    write_whole(path, prompt(count))


def cache_captions(
    captions_path: Path,
    to: Path,
    model_name: str,
    template: str,
    *,
    column: str,
    device: str = "auto",
    overwrite: bool = False,
) -> Cached:
    """Embed the captions of a file into a cache. A cache of the same captions, towers and template is kept as it is;
    another one is replaced with `overwrite` only, and a file that is no cache never."""
    from rich.console import Console

    from model.caption_cache import CaptionCache, CaptionCacheError, cache_header, check_template, key_of
    from model.registry import load_model
    from model.towers_signature import towers_signature
    from workflows.device import device_here

    check_template(template)
    check_writable(to, "--to")
    captions = read_captions(captions_path, column)
    there = cache_header(to) if to.exists() else None
    towers = load_model(model_name).clap.to(device_here(device))
    if there is not None and there["key"] == key_of(dict.fromkeys(captions), towers_signature(towers), template):
        return Cached(CaptionCache.open(to, towers, template), to, len(captions), kept=True)
    if there is not None and not overwrite:
        raise CaptionCacheError(
            f"{to} holds {there['count']} other captions, or the same of another model or template; give another name, "
            "or --overwrite"
        )
    with EmbeddingProgress(Console(file=sys.stderr), len(set(captions))) as progress:
        cache = CaptionCache.embed(captions, towers, template, on_done=progress.heard)
    cache.save(to)
    return Cached(cache, to, len(captions), kept=False)


def refuse_to_overwrite(path: Path, *, overwrite: bool) -> None:
    """Raise AlreadyThereError for a file that is there, unless it may be written over."""
    if path.exists() and not overwrite:
        raise AlreadyThereError(f"{path} is there already; give another name, or --overwrite")


class EmbeddingProgress:
    """How many captions are embedded: a line on standard error while the `with` block lasts."""

    def __init__(self, console: Console, count: int) -> None:
        from workflows.live_line import LiveLine

        self._line, self._count, self._began = LiveLine(console), count, time.monotonic()

    def __enter__(self) -> EmbeddingProgress:
        self._line.start(f"0 of {self._count:,} captions")
        return self

    def __exit__(self, *raised: object) -> None:
        self._line.stop()

    def heard(self, done: int) -> None:
        """So many are done."""
        speed = done / max(time.monotonic() - self._began, 1e-6)
        text = f"{done:,} of {self._count:,} captions, {speed:.0f} a second, {(self._count - done) / speed:.0f} s left"
        self._line.show(done / self._count, text, last=done == self._count)
