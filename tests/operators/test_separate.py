"""Separate and commit: whatever becomes of its pieces, a unit is one file whose record agrees with its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from separate_studio import UNIT, Studio, committed, failed, piece, receipt_of, unit
from small_model import RATE, Samples, lively

from operators.attempts import AttemptLedger
from operators.footers import read_records
from operators.media.flac import decode_flac
from operators.stem_engine import Coverage
from operators.unit_file import unit_path


def test_a_unit_of_a_run_that_was_called_off_is_not_begun(studio: Studio, tmp_path: Path) -> None:
    ledger = AttemptLedger()
    worker = studio.worker(tmp_path, attempts=ledger)
    ledger.call_off()
    receipt = receipt_of(worker, unit(piece(lively(9.0))))
    assert (receipt["begun"], receipt["committed"], receipt["statuses"], receipt["messages"]) == (0, False, [], [])
    assert list(tmp_path.rglob("*")) == []


def test_a_unit_becomes_a_file_whose_record_agrees_with_its_rows(studio: Studio, tmp_path: Path) -> None:
    worker = studio.worker(tmp_path)
    first, second = lively(70.0, channels=2), lively(12.5, seed=1)
    receipt = receipt_of(worker, unit(piece(first), piece(second, uri="/archive/b.wav"), attempt=2))
    record, rows = committed(tmp_path)
    assert (record.unit_id, record.run_id, record.attempt) == (UNIT, "run", 2)
    assert [s.status for s in record.sources] == ["ok", "ok"]
    assert [s.stems for s in record.sources] == [4, 2]
    assert [s.seconds for s in record.sources] == [70.0, 12.5]
    assert [(c.source_uri, c.query_id, c.windows, c.stems, c.outcome) for c in record.coverage] == [
        ("/archive/a.wav", "bark", 9, 2, "present"),
        ("/archive/a.wav", "bell", 9, 2, "present"),
        ("/archive/b.wav", "bark", 2, 1, "present"),
        ("/archive/b.wav", "bell", 2, 1, "present"),
    ]
    assert record.coverage[0].window_starts == [8.0 * k for k in range(9)]
    assert [(r["source_uri"], r["query_id"], r["start_seconds"], r["end_seconds"]) for r in rows] == [
        ("/archive/a.wav", "bark", 0.0, 60.0),
        ("/archive/a.wav", "bell", 0.0, 60.0),
        ("/archive/a.wav", "bark", 60.0, 70.0),
        ("/archive/a.wav", "bell", 60.0, 70.0),
        ("/archive/b.wav", "bark", 0.0, 12.5),
        ("/archive/b.wav", "bell", 0.0, 12.5),
    ]
    assert receipt["committed"]
    assert (receipt["stems"], receipt["windows"], receipt["pairs"], receipt["pairs_passed"]) == (6, 11, 22, 22)
    assert receipt["seconds"] == 82.5
    assert receipt["events"] == sum(len(row["events"]) for row in rows)
    assert receipt["size_bytes"] == Path(unit_path(str(tmp_path), UNIT)).stat().st_size
    assert receipt["statuses"] == ["ok", "ok"]
    assert receipt["error_classes"] == receipt["messages"] == []


def test_rows_hold_what_the_engine_made(studio: Studio, tmp_path: Path) -> None:
    worker, sound = studio.worker(tmp_path), lively(70.0, channels=2)
    receipt_of(worker, unit(piece(sound)))
    _, rows = committed(tmp_path)
    stretches = list(worker.engine.stretches(sound, 0, 0, sound.shape[1], Coverage()))
    for row, stretch in zip(rows, stretches, strict=True):
        decoded, rate = decode_flac(row["audio"]["bytes"], row["gain_db"])
        assert rate == row["sample_rate"] == RATE
        assert np.abs(decoded - stretch.stem).max() < 1e-6
        assert row["presence"] == pytest.approx(stretch.presence)
        assert row["channels"] == 2
        assert np.linalg.norm(np.array(row["embedding"], np.float64)) == pytest.approx(1.0, abs=2e-3)
        assert -1.0 <= row["clap_similarity"] <= 1.0
        for event in row["events"]:
            assert row["start_seconds"] <= event["start_seconds"] < event["end_seconds"] <= row["end_seconds"]
    assert len({row["stem_id"] for row in rows}) == len(rows)


def test_a_span_with_context_gives_the_rows_of_the_whole(studio: Studio, tmp_path: Path) -> None:
    sound = lively(130.0)
    receipt_of(studio.worker(tmp_path / "whole"), unit(piece(sound)))
    part = piece(sound[:, 50 * RATE :], start=60.0, context=10 * RATE)
    receipt_of(studio.worker(tmp_path / "part"), unit(part))
    record, part_rows = committed(tmp_path / "part")
    assert (record.coverage[0].start_seconds, record.coverage[0].end_seconds) == (60.0, 130.0)
    whole_rows = [row for row in committed(tmp_path / "whole")[1] if row["start_seconds"] >= 60.0]
    for row, same in zip(part_rows, whole_rows, strict=True):
        assert row["stem_id"] == same["stem_id"]
        assert row["events"] == same["events"]
        ours, theirs = (decode_flac(r["audio"]["bytes"], r["gain_db"])[0] for r in (row, same))
        assert np.abs(ours - theirs).max() < 1e-4


def test_the_same_input_twice_gives_the_same_stem_ids_and_other_settings_others(studio: Studio, tmp_path: Path) -> None:
    def ids(name: str, sound: Samples, **options: Any) -> list[str]:
        version = options.pop("version", "v1")
        receipt_of(studio.worker(tmp_path / name, **options), unit(piece(sound, source_version=version)))
        return [row["stem_id"] for row in committed(tmp_path / name)[1]]

    sound = lively(15.0)
    first = ids("first", sound)
    assert ids("again", sound) == first
    assert not set(ids("ungated", sound, gate=False)) & set(first)
    assert not set(ids("newer", sound, version="v2")) & set(first)


def test_bad_pieces_become_records_and_the_others_stems(studio: Studio, tmp_path: Path) -> None:
    broken, sound = lively(9.0), lively(9.0)
    broken[0, 100] = np.nan
    absurd = np.full((1, 9 * RATE), 1e30, np.float32)
    pieces = [
        failed("/archive/text.wav"),
        piece(broken, uri="/archive/nan.wav"),
        piece(absurd, uri="/archive/absurd.wav"),
        piece(np.repeat(sound, 9, axis=0), uri="/archive/nine.wav"),
        piece(sound, uri="/archive/good.wav"),
        piece(sound[:, :0], uri="/archive/empty.wav"),
        piece(sound, uri="/archive/half.wav", status="partial", error_class="cut_off", message="cut", stage="decode"),
    ]
    receipt = receipt_of(studio.worker(tmp_path), unit(*pieces))
    record, rows = committed(tmp_path)
    told = {Path(s.source_uri).stem: (s.status, s.error_class, s.stage, s.stems) for s in record.sources}
    assert told == {
        "text": ("unreadable", "not_media", "decode", 0),
        "nan": ("failed", "not_finite", "separate", 0),
        "absurd": ("failed", "not_finite", "separate", 0),
        "nine": ("failed", "too_many_channels", "separate", 0),
        "good": ("ok", None, None, 2),
        "empty": ("ok", None, None, 0),
        "half": ("partial", "cut_off", "decode", 2),
    }
    assert {Path(row["source_uri"]).stem for row in rows} == {"good", "half"}
    assert {c.source_uri for c in record.coverage} == {"/archive/good.wav", "/archive/half.wav"}
    assert receipt["committed"]
    assert receipt["error_classes"] == ["not_media", "not_finite", "not_finite", "too_many_channels", "cut_off"]
    assert receipt["messages"][3].startswith("/archive/nine.wav: ")
    assert "9 channels are more than the 8" in receipt["messages"][3]
    assert receipt["seconds"] == 18.0


def test_a_unit_without_a_readable_source_is_committed_without_rows(studio: Studio, tmp_path: Path) -> None:
    receipt = receipt_of(studio.worker(tmp_path), unit(failed("/archive/a.txt")))
    record, rows = committed(tmp_path)
    assert receipt["committed"]
    assert rows == []
    assert [s.message for s in record.sources] == ["no sound in it"]


@pytest.mark.parametrize(
    ("sound", "threshold", "outcome"),
    [
        (lively(20.0), 1.0, "not_present"),
        (np.zeros((1, 20 * RATE), np.float32), 0.0, "not_present"),
        (3e-4 * lively(20.0), 0.0, "too_quiet"),
        (lively(20.0), 0.0, "present"),
    ],
)
def test_what_was_not_found_is_told_apart(
    studio: Studio, tmp_path: Path, sound: Samples, threshold: float, outcome: str
) -> None:
    receipt_of(studio.worker(tmp_path, threshold=threshold), unit(piece(sound)))
    record, rows = committed(tmp_path)
    assert [c.outcome for c in record.coverage] == [outcome] * 2
    assert (len(rows) > 0) == (outcome == "present")
    assert [c.windows_silent for c in record.coverage] == [0 if sound.any() else 3] * 2


@pytest.mark.parametrize("samples", [1, 50, 399])
def test_the_shortest_of_sounds_has_a_row(studio: Studio, tmp_path: Path, samples: int) -> None:
    receipt_of(studio.worker(tmp_path), unit(piece(np.full((2, samples), 0.5, np.float32))))
    _, rows = committed(tmp_path)
    assert [row["end_seconds"] for row in rows] == [samples / RATE] * 2


def test_an_antiphase_stem_has_an_embedding(studio: Studio, tmp_path: Path) -> None:
    sound = lively(12.0)
    receipt_of(studio.worker(tmp_path), unit(piece(np.concatenate([sound, -sound]))))
    assert [row["embedding"] is not None for row in committed(tmp_path)[1]] == [True, True]


def test_a_batch_of_units_is_a_batch_of_receipts(studio: Studio, tmp_path: Path) -> None:
    tables = [unit(piece(lively(5.0), uri=f"/archive/{k}.wav"), unit_id=f"{k}" * 32) for k in range(3)]
    receipts = studio.worker(tmp_path)(pa.concat_tables(tables)).to_pylist()
    assert [receipt["unit_id"] for receipt in receipts] == [f"{k}" * 32 for k in range(3)]
    assert {record.unit_id for record in read_records(str(tmp_path))} == {f"{k}" * 32 for k in range(3)}
