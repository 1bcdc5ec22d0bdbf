"""The catalog: what to listen for, in YAML, checked before the first byte of media is read.

A catalog is a list of queries; a query has an id, texts or audio exemplars or both, and, if wished, what it is *not*.
Content hashes depend on what a query asks for, not on file names, order or spacing: they decide whether two runs belong
to one dataset.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final

import fsspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from operators.catalog_mistakes import explained
from operators.exemplars import beside, is_file, sha256_of
from operators.strict_yaml import YamlError, parse_yaml

READY_CATALOGS: Final = Path(__file__).parent / "catalogs"
ID_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
RESIDUAL_ID: Final = "residual"
"""The id of what no query took; no query may have it."""
CAT_ID_PATTERN: Final = re.compile(r"[A-Za-z0-9]{2,20}")
EVEN: Final = 0.5
"""Texts and recordings of a query weigh the same, unless it says otherwise."""
MAX_TEXT_CHARACTERS: Final = 300  # far beyond any caption; the text towers read no more than this

_ARTICLES: Final = frozenset({"a", "an", "the", "some", "someone"})


class CatalogError(ValueError):
    """The catalog cannot be used; the message names the place, what was found, the limit and the next step."""


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


OneOrMore = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class QuerySpec(BaseModel):
    """One thing to listen for.

    >>> QuerySpec(id="dog", text=["a dog barking", "a dog barks"], negative="a cat meowing").query_text
    'a dog barking'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(description="name of the query in the dataset: [a-z0-9][a-z0-9_-]{0,63}")
    text: OneOrMore = Field((), description="what to pull out, worded like a caption; several wordings are averaged")
    negative: OneOrMore = Field((), description="what to leave out, worded like a caption")
    audio: OneOrMore = Field((), description="recordings of what to pull out: paths relative to the catalog, or URIs")
    negative_audio: OneOrMore = Field((), description="recordings of what to leave out: paths or URIs")
    audio_weight: float = Field(
        EVEN, ge=0.0, le=1.0, description="share of the recordings where a side has texts too, from 0 to 1"
    )
    threshold: float | None = Field(
        None,
        ge=0.0,
        le=1.0,
        description="presence (0 to 1) from which it counts as there; null: the run's own threshold",
    )
    ucs: str | None = Field(
        None, description="UCS category (CatID, such as ANMLDog): carried into the rows and into the names of exports"
    )

    @field_validator("id")
    @classmethod
    def _safe_id(cls, value: str) -> str:
        if not ID_PATTERN.fullmatch(value):
            raise ValueError(
                f"{value!r} is not a usable id: 1 to 64 of a-z, 0-9, '_' and '-', beginning with a letter or digit; "
                f"{slug(value)!r} would do"
            )
        if value == RESIDUAL_ID:
            raise ValueError(f"{value!r} is the name of what no query takes: give the query another id")
        return value

    @field_validator("ucs")
    @classmethod
    def _cat_id(cls, value: str | None) -> str | None:
        if value is not None and not CAT_ID_PATTERN.fullmatch(value):
            raise ValueError(f"{value!r} is not a UCS CatID: 2 to 20 letters and digits, such as ANMLDog")
        return value

    @field_validator("text", "negative")
    @classmethod
    def _readable_texts(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        texts = tuple(" ".join(value.split()) for value in values)
        for text in texts:
            if not text:
                raise ValueError("an empty text says nothing: write a caption such as 'a dog barking', or remove it")
            if len(text) > MAX_TEXT_CHARACTERS:
                raise ValueError(
                    f"a text of {len(text)} characters is more than the {MAX_TEXT_CHARACTERS} that are read: "
                    "split it into several texts"
                )
        return texts

    @model_validator(mode="after")
    def _asks_for_something(self) -> QuerySpec:
        if not self.text and not self.audio:
            raise ValueError("there is neither text nor audio: add text: 'a dog barking' or audio: [bark.wav]")
        both = {text.lower() for text in self.text} & {text.lower() for text in self.negative}
        if both:
            raise ValueError(f"{min(both)!r} is both text and negative: remove one of them")
        mixed = (self.text and self.audio) or (self.negative and self.negative_audio)
        if self.audio_weight != EVEN and not mixed:
            raise ValueError(
                f"audio_weight is {self.audio_weight:g}, but no side has text and audio: add the other, or remove it"
            )
        return self

    @property
    def query_text(self) -> str:
        """The query in words: its first text, else the names of its exemplars."""
        return self.text[0] if self.text else "sounds like " + ", ".join(uri.rpartition("/")[2] for uri in self.audio)

    @cached_property
    def content_hash(self) -> str:
        """16 hex digits over texts, negative texts, the bytes of the exemplars and their weight; the threshold is not
        part of it."""
        asked: dict[str, Any] = {
            "text": sorted(self.text),
            "negative": sorted(self.negative),
            "audio": sorted(sha256_of(uri) for uri in self.audio),
            "negative_audio": sorted(sha256_of(uri) for uri in self.negative_audio),
        }
        if self.audio_weight != EVEN:
            asked["audio_weight"] = self.audio_weight
        return _hash(asked)


class Catalog(BaseModel):
    """A named list of queries with distinct ids."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="name of the catalog, for people")
    queries: tuple[QuerySpec, ...] = Field(description="what to listen for, one entry per stem")

    @field_validator("queries")
    @classmethod
    def _distinct(cls, queries: tuple[QuerySpec, ...]) -> tuple[QuerySpec, ...]:
        if not queries:
            raise ValueError("the catalog is empty: add at least one query, such as '- a dog barking'")
        twice = [query_id for query_id, count in Counter(query.id for query in queries).items() if count > 1]
        if twice:
            raise ValueError(f"the id {twice[0]!r} is used more than once: stems are told apart by it, so rename one")
        return queries

    @cached_property
    def content_hash(self) -> str:
        """16 hex digits over ids, contents, thresholds and categories of the queries; not over name or order."""
        return _hash(
            sorted(
                [query.id, query.content_hash, query.threshold, *([query.ucs] if query.ucs else [])]
                for query in self.queries
            )
        )


def ready_catalogs() -> list[str]:
    """Names of the catalogs that come along."""
    return sorted(path.stem for path in READY_CATALOGS.glob("*.yaml"))


def load_catalog(path_or_name: str | Path) -> Catalog:
    """The catalog in a YAML file (path or URI), or a ready one by name. Raises `CatalogError`.

    The file is a mapping with `name` and `queries`, or only the list. An entry of the list is a mapping with the fields
    of `QuerySpec`, or only a text ("a dog barking" gets the id `dog_barking`). Exemplars are looked up beside the file.

    >>> [query.id for query in load_catalog("everyday").queries][:2]
    ['dog', 'rooster']
    """
    where = str(path_or_name)
    uri = str(READY_CATALOGS / f"{where}.yaml") if where in ready_catalogs() else where
    content = _parsed(_read_text(uri), where)
    if isinstance(content, list):
        content = {"queries": content}
    if content is None:
        content = {"queries": []}
    if not isinstance(content, dict):
        raise CatalogError(f"{where}: expected a list of queries, found {content!r}: write '- a dog barking'")
    content = {"name": uri.rpartition("/")[2].rpartition(".")[0] or uri, **content}
    if isinstance(content.get("queries"), list):
        content["queries"] = [_entry(entry) for entry in content["queries"]]
    elif content.get("queries", 0) is None:
        content["queries"] = []
    try:
        catalog = Catalog.model_validate(content)
    except ValidationError as error:
        raise CatalogError(
            "\n".join(explained(detail, content, where, Catalog, QuerySpec) for detail in error.errors())
        ) from None
    return catalog.model_copy(update={"queries": tuple(_located(query, uri, where) for query in catalog.queries)})


def slug(text: str) -> str:
    """An id made of a text: `slug("A dog barking!") == "dog_barking"`."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    while len(words) > 1 and words[0] in _ARTICLES:
        words = words[1:]
    return "_".join(words)[:64].rstrip("_") or "query"


# Reading


def _read_text(uri: str) -> str:
    try:
        with fsspec.open(uri, "rb") as file:
            return bytes(file.read()).decode("utf-8")
    except UnicodeDecodeError:
        raise CatalogError(f"{uri}: this is not UTF-8 text: give a YAML file, or one of {_ready()}") from None
    except FileNotFoundError:
        close = difflib.get_close_matches(uri, ready_catalogs(), n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise CatalogError(f"no catalog at {uri!r}: {hint}give a YAML file, or one of {_ready()}") from None
    except (OSError, ValueError, ImportError) as error:
        raise CatalogError(f"the catalog {uri!r} cannot be read: {error}") from error


def _ready() -> str:
    return "the ready ones (" + ", ".join(ready_catalogs()) + ")"


def _parsed(text: str, where: str) -> Any:
    try:
        return parse_yaml(text)
    except YamlError as error:
        raise CatalogError(f"{where}{error}") from None


def _entry(entry: Any) -> Any:
    if isinstance(entry, str) and entry.strip():
        return {"id": slug(entry), "text": entry}
    if isinstance(entry, dict) and "id" not in entry and isinstance(entry.get("text"), str):
        return {"id": slug(entry["text"]), **entry}
    return entry


def _located(query: QuerySpec, catalog_uri: str, where: str) -> QuerySpec:
    """The query with its exemplars as absolute paths or URIs, each of which exists."""
    found = {}
    for field in ("audio", "negative_audio"):
        uris = tuple(beside(uri, catalog_uri) for uri in getattr(query, field))
        for uri in uris:
            if not is_file(uri):
                raise CatalogError(
                    f"{where}: query {query.id!r}: the exemplar {uri!r} does not exist: {field} is looked up "
                    "beside the catalog file; correct the path, or give an absolute one"
                )
        found[field] = uris
    return query.model_copy(update=found)


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]
