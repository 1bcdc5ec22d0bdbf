"""`soundquarry search OUT "a door slams"`: the rows of a dataset that sound most like a text, a recording, or both.

The text is understood by the model that made the dataset; nothing but stored embeddings and wordings is read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from model.checkpoint import Model
from model.conditions import Query, positive_embeddings
from model.registry import load_model, model_names
from operators.dataset import expect_signature
from operators.query_conditions import ExemplarError, read_exemplar
from operators.search import WORDING_SHARE, Hit, Search, SearchError, Sought, Vectors, searchable_rows
from workflows.reports.html import short_name

TABLE_WIDTH: Final = 100


@dataclass(frozen=True)
class SearchJob:
    """What a person asked for."""

    out: str
    text: str | None = None
    audio: str | None = None
    unwanted: tuple[str, ...] = ()
    query_id: str | None = None
    top: int = 10
    duplicates: bool = True
    model: str | None = None
    wording_share: float = WORDING_SHARE


def search(job: SearchJob) -> list[Hit]:
    """The best rows, best first.

    Raises SearchError for what cannot be asked, FileNotFoundError where no dataset lies, NothingToSearchError where
    there is nothing to find.
    """
    text = (job.text or "").strip()
    if not text and job.audio is None:
        raise SearchError("nothing to search for: give a text such as 'a door slams', or a recording with --audio")
    if not all(unwanted.strip() for unwanted in job.unwanted):
        raise SearchError("--not is empty: say what should not be found, such as --not music")
    model = model_of(job.out, job.model)
    rows = searchable_rows(job.out, duplicates=job.duplicates)
    embed = TextEmbedder(model)
    sought = Sought(_wanted(text, job.audio, model), embed(job.unwanted))
    return Search(sought, embed, query_id=job.query_id, wording_share=job.wording_share).top(rows, job.top)


def model_of(out_uri: str, name_or_path: str | None = None) -> Model:
    """The model that made a dataset: by its name when it comes along, else from `name_or_path`.

    Raises FileNotFoundError where no dataset lies, SearchError for a model with another signature, SignatureError for a
    dataset of another version of soundquarry.
    """
    made_by = str(expect_signature(out_uri).get("model", ""))
    name = made_by.rpartition("-")[0]
    if name_or_path is None and name not in model_names():
        raise SearchError(f"{out_uri} was made by {made_by}, a model without a name here: give its file with --model")
    model = load_model(name_or_path or name)
    if model.signature != made_by:
        raise SearchError(
            f"{out_uri} was made by {made_by}, and its embeddings mean nothing to {model.signature}: give the file of "
            "that model with --model, under its name"
        )
    return model


class TextEmbedder:
    """Texts to unit vectors [K, D] of a model."""

    def __init__(self, model: Model) -> None:
        self._clap = model.clap

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return torch.empty(0, self._clap.width).numpy()
        embedded: Vectors = self._clap.embed_text(texts).numpy()
        return embedded


def _wanted(text: str, audio: str | None, model: Model) -> Vectors:
    try:
        rate = model.clap.sample_rate
        sounds = [] if audio is None else [read_exemplar(audio, rate)]
    except ExemplarError as error:
        raise SearchError(f"--audio: {error}") from error
    wanted: Vectors = positive_embeddings(
        [Query(texts=[text] if text else [], sounds=sounds, sample_rate=rate)], model.clap
    )[0].numpy()
    return wanted


def print_hits(hits: Sequence[Hit], *, as_json: bool = False, console: Console | None = None) -> None:
    """The hits as a table for people, or one JSON object per line with the exact numbers."""
    if as_json:
        for hit in hits:
            print(json.dumps(asdict(hit)))
        return
    console = console or Console()
    table = Table(show_edge=False, pad_edge=False, width=min(TABLE_WIDTH, console.width))
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("query", max_width=30, overflow="fold")
    table.add_column("where", overflow="fold")
    table.add_column("stem_id", overflow="fold")
    for hit in hits:
        source = short_name(hit.source_uri, hit.track or None)  # the first track goes without saying
        table.add_row(
            str(hit.rank),
            f"{hit.score:.3f}",
            f"{escape(hit.query_id)}\n[dim]{escape(hit.query_text or '')}[/dim]",
            f"{escape(source)}\n{clock_span(hit.start_seconds, hit.end_seconds)}",
            hit.stem_id,
        )
    console.print(table)


def clock_span(start_seconds: float, end_seconds: float) -> str:
    """A stretch of a source as a player shows it, to a tenth of a second.

    >>> clock_span(9.25, 75.0), clock_span(3599.96, 3675.5)
    ('0:09.2 - 1:15.0', '1:00:00.0 - 1:01:15.5')
    """
    return f"{_clock(start_seconds)} - {_clock(end_seconds)}"


def _clock(seconds: float) -> str:
    tenths = round(seconds * 10)
    hours, minutes, rest = tenths // 36_000, tenths // 600 % 60, tenths % 600 / 10
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"
