"""From a catalog to what the network is given: the exemplars' sounds, the conditions, the embeddings stems are
compared with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import fsspec
import numpy as np
import torch
from torch import Tensor

from model.checkpoint import Model
from model.conditions import Query, embed_sides
from model.separator import Condition
from operators.catalog import Catalog, CatalogError, QuerySpec

EXEMPLAR_SECONDS: Final = 10.0
QUIETEST_PEAK: Final = 1e-4
"""-80 dBFS: an exemplar that stays below it says nothing."""


class ExemplarError(ValueError):
    """A recording that cannot stand for a sound; the message names it and the next step."""


@dataclass(frozen=True)
class CatalogConditions:
    """A catalog, understood by a model: row i belongs to query i."""

    condition: Condition
    positive: Tensor
    """Unit vectors [Q, D] of what is wanted."""


def understand(catalog: Catalog, model: Model) -> CatalogConditions:
    """Conditions of every query of the catalog. Raises CatalogError for an exemplar that cannot be read."""
    queries = [_query(spec, model.clap.sample_rate) for spec in catalog.queries]
    sides = embed_sides(queries, model.clap)
    gate = None if model.gate_clap is None else embed_sides(queries, model.gate_clap).condition.embedding
    return CatalogConditions(Condition(sides.condition.embedding, gate), sides.positive)


def _query(spec: QuerySpec, sample_rate: int) -> Query:
    return Query(
        texts=spec.text,
        negative_texts=spec.negative,
        sounds=[_sound(uri, spec.id, sample_rate) for uri in spec.audio],
        negative_sounds=[_sound(uri, spec.id, sample_rate) for uri in spec.negative_audio],
        sample_rate=sample_rate,
        audio_weight=spec.audio_weight,
    )


def _sound(uri: str, query_id: str, sample_rate: int) -> Tensor:
    try:
        return read_exemplar(uri, sample_rate)
    except ExemplarError as error:
        raise CatalogError(f"query {query_id!r}: {error}") from error


def read_exemplar(uri: str, sample_rate: int) -> Tensor:
    """The first seconds of an exemplar, mono at `sample_rate`.

    Raises ExemplarError for what cannot be read, is silent or holds no numbers.
    """
    import soundfile
    import soxr

    name = Path(uri).name
    try:
        with fsspec.open(uri, "rb") as file, soundfile.SoundFile(file) as recording:
            rate = recording.samplerate
            sound = recording.read(int(EXEMPLAR_SECONDS * rate), dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise ExemplarError(f"the exemplar {name!r} cannot be read ({error}); give WAV, FLAC, OGG or MP3") from error
    except Exception as error:  # an unknown protocol, a missing extra, no credentials: every store has its own errors
        raise ExemplarError(
            f"the exemplar {uri!r} cannot be read ({type(error).__name__}: {error}); check the address, the "
            "credentials, and that the extra for this kind of store is installed"
        ) from error
    mono = sound.mean(axis=1)
    if not np.isfinite(mono).all():
        raise ExemplarError(f"the exemplar {name!r} has samples that are NaN or infinite; export it again")
    if not mono.size or float(abs(mono).max()) < QUIETEST_PEAK:
        raise ExemplarError(
            f"the exemplar {name!r} is silent (mixed to mono, in its first {EXEMPLAR_SECONDS:g} s); give a recording "
            "of the sound alone"
        )
    return torch.from_numpy(soxr.resample(mono, rate, sample_rate).astype("float32"))
