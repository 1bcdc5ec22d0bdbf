"""Separating and committing: a decoded unit becomes a Parquet file of stems, and a receipt.

One actor per accelerator (or per group of CPU cores) holds the model and the catalog's conditions. While the network
goes on with the next windows, a few threads measure and encode finished stretches. The unit's file appears only when
the whole unit is done, whatever became of its members: a bad source is a record in the file's footer, never an
exception.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from model.registry import load_model
from operators.actor_metrics import stage_steps, stage_time, unit_time
from operators.attempts import MAX_LOST_WORKERS, AttemptLedger, Attempts, worker_lost
from operators.catalog import Catalog
from operators.event_mining import EventMiner, Range
from operators.failure import SourceFailure
from operators.outcomes import coverage_records, passed_gate, source_record, told
from operators.pieces import read_pieces, unfit
from operators.query_conditions import CatalogConditions, understand
from operators.records import CoverageRecord, SourceRecord, UnitRecord
from operators.schema import RECEIPT_SCHEMA
from operators.settings import ExtractSettings, MineSettings
from operators.stem_engine import Coverage, StemEngine
from operators.stem_rows import StemRowMaker
from operators.stretches import Samples, Stretch
from operators.unit_file import UnitFileWriter

ENCODING_THREADS = 2

logger = logging.getLogger(__name__)


@dataclass
class _Tally:
    """What a unit adds up to while it is worked on."""

    sources: list[SourceRecord] = field(default_factory=list)
    coverage: list[CoverageRecord] = field(default_factory=list)
    events: int = 0
    windows: int = 0
    pairs: int = 0
    pairs_passed: int = 0


class _PieceError(Exception):
    """A piece could not be separated, perhaps after some of its rows were written."""

    def __init__(self, key: str, failure: SourceFailure) -> None:
        super().__init__(failure.message)
        self.key, self.failure = key, failure


class SeparateAndCommit:
    """`dataset.map_batches(SeparateAndCommit, batch_size=1, batch_format="pyarrow", compute=ActorPoolStrategy(...))`.

    UNIT rows in, RECEIPT rows out. Never raises for a bad source, or for one that memory does not suffice for: it is
    a failure in the unit's record. A unit that cannot be committed (a full disk) is a receipt that says so, and so is
    one that is not begun because the run was called off.
    """

    def __init__(
        self,
        *,
        out_uri: str,
        run_id: str,
        catalog: Catalog,
        settings: ExtractSettings,
        device: str = "cpu",
        threads: int = 1,
        attempts: Attempts | None = None,
        understood: CatalogConditions | None = None,
    ) -> None:
        self.threads = threads
        torch.set_num_threads(threads)
        self.out_uri, self.run_id, self.catalog, self.settings = out_uri, run_id, catalog, settings
        self.attempts: Attempts = attempts or AttemptLedger()
        model = load_model(settings.model)
        # The driver hands its own on: a worker then need not load the sentence encoder.
        understood = understood or understand(catalog, model)
        event_thresholds = settings.event_thresholds(catalog, model.calibration)
        contents = [query.content_hash for query in catalog.queries]
        self.engine = StemEngine(
            model,
            understood.condition,
            settings.gate_thresholds(catalog, model.calibration),
            contents=[contents.index(content) for content in contents],
            residual=settings.residual,
            exclusive=settings.exclusive,
            gate=settings.gate,
            device=device,
            precision=settings.precision,
        )
        self.rows = StemRowMaker(
            model,
            catalog,
            understood.positive.to(device),
            run_id=run_id,
            settings_hash=settings.content_hash,
            event_thresholds=event_thresholds,
            precision=self.engine.precision,
        )
        self.miner = EventMiner(self.engine, settings, event_thresholds) if isinstance(settings, MineSettings) else None
        self.embed, self.row = stage_time("network")(self.rows.embed), stage_time("encode")(self.rows.row)
        self.pool = ThreadPoolExecutor(ENCODING_THREADS, thread_name_prefix="encode")

    def __call__(self, batch: pa.Table) -> pa.Table:
        torch.set_num_threads(
            self.threads
        )  # belongs to a thread, and this one need not be the one that built the actor
        receipts = []
        for row in range(batch.num_rows):
            with unit_time("separate"):
                receipts.append(self._unit(batch, row))
        return pa.Table.from_pylist(receipts, schema=RECEIPT_SCHEMA)

    def _unit(self, batch: pa.Table, row: int) -> dict[str, Any]:
        began = time.monotonic()
        unit_id: str = batch["unit_id"][row].as_py()
        tally, size_bytes, problems = _Tally(), 0, list[SourceFailure]()
        given_up: dict[str, SourceFailure] = {}
        begun = self.attempts.begin_unit(unit_id)
        while begun:
            try:
                size_bytes = self._commit(batch, row, tally, given_up, began)
            except _PieceError as error:  # rows cannot be taken back: the unit begins anew without the piece
                given_up[error.key] = error.failure
                tally = _Tally()
                continue
            except SourceFailure as failure:
                problems.append(failure)
            break
        bad = [source for source in tally.sources if source.status != "ok"]
        return {
            "unit_id": unit_id,
            "begun": begun,
            "committed": bool(begun) and not problems,
            "seconds": sum(source.seconds for source in tally.sources),
            "stems": sum(source.stems for source in tally.sources),
            "events": tally.events,
            "windows": tally.windows,
            "pairs": tally.pairs,
            "pairs_passed": tally.pairs_passed,
            "size_bytes": size_bytes,
            "wall_seconds": time.monotonic() - began,
            "statuses": [source.status for source in tally.sources],
            "error_classes": [source.error_class or source.status for source in bad]
            + [p.error_class for p in problems],
            "messages": [told(source) for source in bad] + [p.message for p in problems],
        }

    def _commit(
        self, batch: pa.Table, row: int, tally: _Tally, given_up: Mapping[str, SourceFailure], began: float
    ) -> int:
        """Separate the unit's pieces, except those given up, and commit its file; returns its size in bytes."""
        unit_id: str = batch["unit_id"][row].as_py()
        with UnitFileWriter(self.out_uri, unit_id) as writer:
            for piece in read_pieces(batch["pieces"][row].values):
                self._piece(piece, unit_id, tally, writer, given_up)
            record = UnitRecord(
                unit_id=unit_id,
                run_id=self.run_id,
                attempt=batch["attempt"][row].as_py(),
                member_ids=[member["member_id"] for member in batch["members"][row].as_py()],
                sources=tally.sources,
                coverage=tally.coverage,
                wall_seconds=time.monotonic() - began,
                precision=str(self.engine.precision).removeprefix("torch."),
            )
            with stage_time("commit"):
                return writer.commit(record).size_bytes

    def _piece(
        self,
        piece: Mapping[str, Any],
        unit_id: str,
        tally: _Tally,
        writer: UnitFileWriter,
        given_up: Mapping[str, SourceFailure],
    ) -> None:
        """Separate one piece and append its outcome to the tally. Raises _PieceError when it has to be given up."""
        key = f"{piece['member_id']}/{piece['track']}/{piece['start_seconds']}"
        failure = given_up.get(key)
        if failure is not None or piece["pcm"] is None or not piece["span_samples"]:
            tally.sources.append(source_record(piece, stems=0, failure=failure))
            return
        lost = self.attempts.begin(key)
        try:
            if lost >= MAX_LOST_WORKERS:
                failure = worker_lost(piece["source_uri"], "separate", lost)
                tally.sources.append(source_record(piece, stems=0, failure=failure))
                return
            samples = np.frombuffer(piece["pcm"], np.float32).reshape(-1, piece["channels"]).T
            if self.settings.channels == "mono":
                samples, piece = samples.mean(axis=0, keepdims=True), {**piece, "channel_layout": "mono"}
            failure = unfit(piece["source_uri"], samples, piece["sample_rate"])
            if failure is not None:
                tally.sources.append(source_record(piece, stems=0, failure=failure))
                return
            stems, coverage = self._stems(piece, samples, unit_id, tally, writer)
            tally.coverage.extend(coverage)
            tally.sources.append(source_record(piece, stems=stems))
        except (RuntimeError, MemoryError, ValueError) as error:
            failure = _failure_of(error, piece["source_uri"])
            if failure is None:
                raise
            raise _PieceError(key, failure) from error
        finally:
            self.attempts.end(key)

    def _stems(
        self, piece: Mapping[str, Any], samples: Samples, unit_id: str, tally: _Tally, writer: UnitFileWriter
    ) -> tuple[int, list[CoverageRecord]]:
        rate = piece["sample_rate"]
        start = round(piece["start_seconds"] * rate)
        stop = start + piece["span_samples"]
        looked = Coverage()
        waiting: deque[tuple[Stretch, Future[dict[str, Any] | None]]] = deque()
        per_query = np.zeros(len(self.catalog.queries) + 1, np.int64)  # the last is the residual

        def write_oldest() -> None:
            stretch, future = waiting.popleft()
            row = future.result()
            if row is not None:
                writer.write(row)
                per_query[stretch.query] += 1
                tally.events += len(row["events"])

        for stretch in stage_steps("network", self._stretches(piece, samples, (start, stop), looked)):
            embedding = self.embed(stretch)
            waiting.append((stretch, self.pool.submit(self.row, stretch, embedding, piece, unit_id)))
            while len(waiting) > 2 * ENCODING_THREADS:
                write_oldest()
        while waiting:
            write_oldest()
        passed = passed_gate(looked, self.engine.thresholds, gate=self.engine.gate)
        tally.windows += len(passed)
        tally.pairs += passed.size
        tally.pairs_passed += int(passed.sum())
        return int(per_query.sum()), coverage_records(
            piece, self.catalog, looked, passed, per_query, span=(start, stop), sample_rate=rate,
            unkept="no_event" if self.miner else "too_quiet",
        )  # fmt: skip

    def _stretches(
        self, piece: Mapping[str, Any], samples: Samples, span: tuple[int, int], looked: Coverage
    ) -> Iterator[Stretch]:
        """Stems of the piece's span [start, stop), or the events that start in it."""
        rate, (start, stop) = piece["sample_rate"], span
        first = start - piece["context_before_samples"]
        if self.miner is None:
            return self.engine.stretches(samples, first, start, stop, looked, rate)
        look = self.settings.look_seconds * rate
        low, high = max(0, start - look), min(first + samples.shape[1], stop + look)
        if piece["clip_start_seconds"] is not None:
            low = max(low, round(piece["clip_start_seconds"] * rate))
        if piece["clip_end_seconds"] is not None:
            high = min(high, round(piece["clip_end_seconds"] * rate))
        return self.miner.events(samples, first, Range(start, stop, low, high), looked, rate)


def _failure_of(error: Exception, source_uri: str) -> SourceFailure | None:
    """What an error of one piece stands for; None when it says that the worker or the program is broken."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
        error_class, said = "out_of_memory", f"out of memory ({error}); the next run tries it again"
    elif isinstance(error, ValueError):  # of what measures and encodes: a stem that is NaN, or of an odd shape
        logger.exception("%s could not be separated", source_uri)
        error_class, said = "not_separable", f"no stems could be made of it ({error}); report it with the source"
    else:
        return None
    return SourceFailure(status="failed", error_class=error_class, message=f"{source_uri}: {said}", stage="separate")
