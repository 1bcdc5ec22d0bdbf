"""Separate and commit where something fails: the disk, a piece, a worker; what is whole is committed all the same."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from separate_studio import Studio, committed, piece, receipt_of, unit
from small_model import Samples, lively

from operators.attempts import MAX_LOST_WORKERS, AttemptLedger
from operators.stem_engine import StemEngine
from operators.stretches import Stretch


class Dying(AttemptLedger):
    """The ledger as it looks when workers die: what began never ends."""

    def end(self, member_id: str) -> None:
        pass


def test_a_piece_that_keeps_killing_workers_is_given_up_and_the_rest_goes_on(studio: Studio, tmp_path: Path) -> None:
    poison, good = piece(lively(9.0), uri="/archive/poison.wav"), piece(lively(9.0), uri="/archive/good.wav")
    ledger = Dying()
    for _ in range(MAX_LOST_WORKERS):
        assert receipt_of(studio.worker(tmp_path / "dying", attempts=ledger), unit(poison))["error_classes"] == []
    receipt = receipt_of(studio.worker(tmp_path / "out", attempts=ledger), unit(poison, good))
    record, rows = committed(tmp_path / "out")
    assert receipt["committed"]
    assert receipt["error_classes"] == ["worker_lost"]
    assert [(s.status, s.error_class, s.stage) for s in record.sources] == [
        ("failed", "worker_lost", "separate"),
        ("ok", None, None),
    ]
    assert f"{MAX_LOST_WORKERS} workers were lost over it" in str(record.sources[0].message)
    assert {row["source_uri"] for row in rows} == {"/archive/good.wav"}


def test_a_piece_that_is_finished_is_forgotten_by_the_ledger(studio: Studio, tmp_path: Path) -> None:
    worker = studio.worker(tmp_path, attempts=AttemptLedger())
    for _ in range(MAX_LOST_WORKERS + 2):
        assert receipt_of(worker, unit(piece(lively(5.0))))["statuses"] == ["ok"]


def no_space_left(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_without_disk_the_unit_is_not_committed_and_the_next_try_is(studio: Studio, tmp_path: Path) -> None:
    worker, table = studio.worker(tmp_path), unit(piece(lively(9.0)))
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(pq.ParquetWriter, "write_table", no_space_left)
        receipt = receipt_of(worker, table)
    assert not receipt["committed"]
    assert receipt["error_classes"] == ["disk_full"]
    assert "no space left while writing" in receipt["messages"][0]
    assert receipt["size_bytes"] == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert receipt_of(worker, table)["committed"]
    assert len(committed(tmp_path)[1]) == 2


@pytest.mark.parametrize(
    ("error", "error_class"),
    [
        (torch.OutOfMemoryError("tried to allocate 2 GiB"), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory"),
        (ValueError("NaN or infinity in the stem"), "not_separable"),
    ],
)
def test_a_piece_that_fails_halfway_leaves_no_rows_and_the_rest_of_its_unit_goes_on(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, error_class: str
) -> None:
    worker, stretches = studio.worker(tmp_path), StemEngine.stretches

    def poisoned(engine: StemEngine, samples: Samples, *where: Any) -> Iterator[Stretch]:
        for number, stretch in enumerate(stretches(engine, samples, *where)):
            if samples.shape[0] == 2 and number == 3:
                raise error
            yield stretch

    monkeypatch.setattr(StemEngine, "stretches", poisoned)
    pieces = [piece(lively(9.0)), piece(lively(70.0, channels=2), uri="/archive/poison.wav")]
    receipt = receipt_of(worker, unit(*pieces))
    record, rows = committed(tmp_path)
    assert receipt["committed"]
    assert receipt["error_classes"] == [error_class]
    assert [(s.status, s.error_class, s.stage, s.stems) for s in record.sources] == [
        ("ok", None, None, 2),
        ("failed", error_class, "separate", 0),
    ]
    assert (len(rows), receipt["stems"], receipt["seconds"]) == (2, 2, 9.0)


def test_an_error_of_the_worker_itself_is_not_taken_for_one_of_the_source(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = studio.worker(tmp_path)

    def broken(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(worker.engine.network, "mask", broken)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        worker(unit(piece(lively(9.0))))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
