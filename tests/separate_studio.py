"""A worker that separates, with a small checkpoint and a catalog of two exemplars, and the units that it is handed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from small_model import RATE, Samples, lively, save_small

from operators.attempts import Attempts
from operators.catalog import Catalog, QuerySpec
from operators.dataset import rebuild_coverage, rebuild_sources
from operators.footers import read_records
from operators.records import UnitRecord
from operators.schema import RECEIPT_SCHEMA, STEM_SCHEMA, UNIT_SCHEMA
from operators.separate import SeparateAndCommit
from operators.settings import ExtractSettings
from operators.unit_file import unit_path
from operators.verification import verify_dataset

UNIT = "ab" * 16
Piece = dict[str, Any]


@dataclass(frozen=True)
class Studio:
    """A catalog of two exemplars, a checkpoint, and a place for the output."""

    catalog: Catalog
    checkpoint: Path

    def worker(
        self,
        out: Path,
        *,
        threshold: float = 0.0,
        gate: bool = True,
        attempts: Attempts | None = None,
        kind: type[ExtractSettings] = ExtractSettings,
        **options: Any,
    ) -> SeparateAndCommit:
        settings = kind(model=str(self.checkpoint), threshold=threshold, gate=gate, **options)
        return SeparateAndCommit(
            out_uri=str(out), run_id="run", catalog=self.catalog, settings=settings, attempts=attempts
        )


def studio_in(folder: Path) -> Studio:
    """The studio whose files lie in a folder."""
    queries = []
    for seed, name in enumerate(["bark", "bell"]):
        soundfile.write(folder / f"{name}.wav", lively(2.0, seed=50 + seed)[0], RATE)
        queries.append(QuerySpec(id=name, audio=str(folder / f"{name}.wav")))
    return Studio(Catalog(name="two", queries=tuple(queries)), save_small(folder / "small.safetensors"))


def piece(
    sound: Samples, *, uri: str = "/archive/a.wav", track: int = 0, start: float = 0.0, context: int = 0, **other: Any
) -> Piece:
    """A decoded piece: `sound` [C, T] with `context` samples before the span."""
    return {
        "member_id": f"member of {uri}",
        "source_uri": uri,
        "source_version": "v1",
        "track": track,
        "status": "ok",
        "error_class": None,
        "message": None,
        "stage": None,
        "sample_rate": RATE,
        "channels": sound.shape[0],
        "start_seconds": start,
        "span_samples": sound.shape[1] - context,
        "context_before_samples": context,
        "pcm": np.ascontiguousarray(sound.T, "<f4").tobytes(),
    } | other


def failed(uri: str, error_class: str = "not_media", status: str = "unreadable") -> Piece:
    """What the decoder hands on for a source that it could not read."""
    nothing = dict.fromkeys(("track", "sample_rate", "channels", "start_seconds", "span_samples", "pcm"))
    told = {"status": status, "error_class": error_class, "message": "no sound in it", "stage": "decode"}
    return piece(np.zeros((1, 0), np.float32), uri=uri) | nothing | {"context_before_samples": None} | told


def unit(*pieces: Piece, unit_id: str = UNIT, attempt: int = 1) -> pa.Table:
    """The row that the decoding stage would hand on."""
    members = {
        p["member_id"]: {
            "member_id": p["member_id"],
            "source_uri": p["source_uri"],
            "source_version": p["source_version"],
            "start_seconds": 0.0,
        }
        for p in pieces
    }
    row = {"unit_id": unit_id, "seconds": None, "attempt": attempt, "members": list(members.values()), "pieces": pieces}
    return pa.Table.from_pylist([row], schema=UNIT_SCHEMA)


def receipt_of(worker: SeparateAndCommit, table: pa.Table) -> dict[str, Any]:
    receipts = worker(table)
    assert receipts.schema.equals(RECEIPT_SCHEMA)
    (receipt,) = receipts.to_pylist()
    return receipt


def committed(out: Path) -> tuple[UnitRecord, list[dict[str, Any]]]:
    """The record and the rows of the one unit in OUT, after checking them with `verify`."""
    rebuild_coverage(str(out))
    rebuild_sources(str(out))
    assert [f for f in verify_dataset(str(out), decode=True).findings if not f.harmless] == []
    (record,) = read_records(str(out))
    rows = pq.read_table(unit_path(str(out), record.unit_id))
    assert rows.schema.equals(STEM_SCHEMA)
    return record, rows.to_pylist()
