"""Search over what a dataset stores: the rows whose sound, and whose query, are nearest to what is sought.

Contract: only stored columns are read, never audio; the rows come as tables and are looked at one table at a time, so
that memory does not grow with the dataset. Ties are broken by source, start and stem_id.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from operators.counted_rows import counted_rows
from operators.dataset import read_ledger
from operators.derived import is_library
from operators.embeddings import embedding_matrix
from operators.event_table import EVENTS_FILE
from operators.whole_file import place

WORDING_SHARE: Final = 0.3
"""How much of the score is the wording of the row's query. By sound alone a phrase in other words often lands on the
wrong query, by wording alone on rows in which the query is not heard: `bench/search_phrases.py` prints what other
shares give."""
NEGATIVE_WEIGHT: Final = 0.5
COLUMNS: Final = (
    "stem_id", "query_id", "query_text", "source_uri", "track", "start_seconds", "end_seconds", "embedding",
)  # fmt: skip
"""What a search reads of a row; of an event `start_seconds` and `end_seconds` are its own, without padding."""
_OF_EVENT: Final = {"event_start_seconds": "start_seconds", "event_end_seconds": "end_seconds"}
_ROWS_AT_A_TIME: Final = 32_768

logger = logging.getLogger(__name__)
Vectors = NDArray[np.float32]
EmbedTexts = Callable[[Sequence[str]], Vectors]


class SearchError(ValueError):
    """The search asks for what there cannot be; the message names it and what there is."""


class NothingToSearchError(ValueError):
    """The dataset holds nothing that could be found; the message says why."""


@dataclass(frozen=True)
class Sought:
    """What is searched for, as unit vectors of the dataset's model."""

    wanted: Vectors
    """[D]"""
    unwanted: Vectors
    """[K, D], K may be 0."""


@dataclass(frozen=True)
class Hit:
    """A row that was found. `similarity` is the cosine of its embedding with what is wanted, `score` its place."""

    rank: int
    score: float
    similarity: float
    query_id: str
    query_text: str | None
    source_uri: str
    track: int
    start_seconds: float
    end_seconds: float
    stem_id: str


def searchable_rows(out_uri: str, *, duplicates: bool = True) -> Iterator[pa.Table]:
    """The rows of a dataset with `COLUMNS`: events of a library, from its table, or stem rows that count.

    Raises FileNotFoundError for a library without its table; one whose table is older than its events is searched with
    a warning, for what the table tells is true all the same.
    """
    if not is_library(out_uri):
        if not duplicates:
            raise SearchError(f"{out_uri} is no library: only the events of `mine` are known to repeat each other")
        yield from counted_rows(out_uri, read_ledger(out_uri), COLUMNS)
        return
    file = place(out_uri) / EVENTS_FILE
    if not file.exists():
        raise FileNotFoundError(
            f"{file.uri} is missing: mining did not come to its end; run the same command again, it is made then"
        )
    stored = {new: old for old, new in _OF_EVENT.items()}
    columns = [stored.get(name, name) for name in COLUMNS]
    with file.fs.open(file.path, "rb") as handle:
        table = pq.ParquetFile(handle)
        _warn_if_older(out_uri, file.uri, table.metadata.num_rows)
        for batch in table.iter_batches(_ROWS_AT_A_TIME, columns=[*columns, "duplicate_of"]):
            rows = pa.Table.from_batches([batch])
            if not duplicates:
                rows = rows.filter(pc.is_null(rows["duplicate_of"]))
            yield rows.select(columns).rename_columns(list(COLUMNS))


def _warn_if_older(out_uri: str, table_uri: str, told: int) -> None:
    """Compares the table with the footers, a millisecond a unit (10,000 units are two months of audio)."""
    events = sum(source.stems for entry in read_ledger(out_uri).members.values() for source in entry.sources)
    if told != events:
        logger.warning(
            "%s tells of %d events and %d are committed: mining did not come to its end; run the same command again, "
            "then all are found",
            table_uri, told, events,
        )  # fmt: skip


class Search:
    """Ranks rows by how near they are to what is sought.

        near(row, v) = (1 - wording_share) * <embedding, v> + wording_share * <text embedding of the row's query, v>
        score(row)   = near(row, wanted) - NEGATIVE_WEIGHT * max(0, near(row, u) for u in unwanted)

    Both parts live in the one space of the CLAP towers, so that `wanted` may come from a text, from a sound, or from
    both.
    """

    def __init__(
        self,
        sought: Sought,
        embed_texts: EmbedTexts,
        *,
        query_id: str | None = None,
        wording_share: float = WORDING_SHARE,
    ) -> None:
        self._directions = np.vstack([sought.wanted[None], sought.unwanted]).astype(np.float32)  # (1 + K, D)
        self._embed_texts, self._query_id, self._wording_share = embed_texts, query_id, wording_share
        self._wordings: dict[str, Vectors] = {}

    def top(self, tables: Iterable[pa.Table], count: int) -> list[Hit]:
        """The `count` best rows, best first; fewer when there are fewer.

        Raises SearchError for a query_id that no row has, NothingToSearchError when there is no row with an embedding.
        """
        best: list[tuple[float, float, dict[str, Any]]] = []
        queries: set[str] = set()
        rows_seen = 0
        for rows in tables:
            queries.update(pc.unique(rows["query_id"]).to_pylist())
            if self._query_id is not None:
                rows = rows.filter(pc.equal(rows["query_id"], self._query_id))
            rows_seen += len(rows)
            best = heapq.nsmallest(count, [*best, *self._best_of(rows, count)], key=_place)
        if self._query_id is not None and queries and self._query_id not in queries:
            raise SearchError(f"no row has the query {self._query_id!r}; there are {', '.join(sorted(queries))}")
        if not best:
            why = f"its {rows_seen} rows have no embedding" if rows_seen else "it has no rows"
            raise NothingToSearchError(f"nothing to search: {why}, for nothing loud enough was found")
        return [
            Hit(rank=rank, score=score, similarity=similarity, **row)
            for rank, (score, similarity, row) in enumerate(best, start=1)
        ]

    def _best_of(self, rows: pa.Table, count: int) -> list[tuple[float, float, dict[str, Any]]]:
        embedded, vectors = embedding_matrix(rows["embedding"])
        if not len(embedded):
            return []
        if vectors.shape[1] != self._directions.shape[1]:
            raise NothingToSearchError(
                f"embeddings of {vectors.shape[1]} numbers, the model's have {self._directions.shape[1]}: "
                "the rows are of another model"
            )
        sound = vectors.astype(np.float32) @ self._directions.T  # (N, 1 + K)
        near = (1.0 - self._wording_share) * sound + self._wording_share * self._wording(rows["query_text"])[embedded]
        scores = near[:, 0] - NEGATIVE_WEIGHT * near[:, 1:].max(axis=1, initial=0.0)
        worst = np.partition(scores, -count)[-count] if count < len(scores) else -np.inf
        chosen = np.flatnonzero(scores >= worst)
        found = rows.drop_columns(["embedding"]).take(pa.array(embedded[chosen])).to_pylist()
        return [(float(scores[i]), float(sound[i, 0]), row) for i, row in zip(chosen, found, strict=True)]

    def _wording(self, texts: pa.ChunkedArray) -> Vectors:
        """[N, 1 + K]: how near the wording of each row's query is to what is sought; 0 where there is none."""
        encoded = texts.combine_chunks().dictionary_encode()
        known: list[str] = encoded.dictionary.to_pylist()
        new = [text for text in known if text not in self._wordings]
        if new:
            self._wordings.update(zip(new, self._embed_texts(new) @ self._directions.T, strict=True))
        near = np.stack([*(self._wordings[text] for text in known), np.zeros(len(self._directions), np.float32)])
        numbers = pc.fill_null(encoded.indices, len(known)).to_numpy(zero_copy_only=False)
        words: Vectors = near[numbers]
        return words


def _place(found: tuple[float, float, dict[str, Any]]) -> tuple[Any, ...]:
    score, _, row = found
    return -score, row["source_uri"], row["track"], row["start_seconds"], row["stem_id"]
