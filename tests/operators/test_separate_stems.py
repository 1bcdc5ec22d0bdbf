"""What rows are committed: exclusive stems and residuals, events, mono, rates of sources and models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from made_media import chirp, encode, source_of
from separate_studio import Studio, committed, piece, receipt_of, unit
from small_clapsep import save_small_published
from small_model import RATE, Samples, lively
from small_towers import SMALL

from operators.decode import Decode
from operators.media.flac import decode_flac
from operators.member import Member, unit_row
from operators.schema import PLAN_SCHEMA
from operators.settings import MineSettings


def laid_out(rows: list[dict[str, Any]], shape: tuple[int, int]) -> Samples:
    """The decoded rows, added up where they lie."""
    total = np.zeros(shape, np.float32)
    for row in rows:
        samples, rate = decode_flac(row["audio"]["bytes"], row["gain_db"])
        start = round(row["start_seconds"] * rate)
        total[:, start : start + samples.shape[1]] += samples
    return total


def test_committed_stems_and_residual_of_an_exclusive_run_null_against_the_mixture(
    studio: Studio, tmp_path: Path
) -> None:
    sound = lively(70.0, channels=2)
    sound[:, : RATE // 2] *= 4.0  # beyond full scale: some rows are turned down before they are encoded
    worker = studio.worker(tmp_path, residual=True, exclusive=True)
    receipt_of(worker, unit(piece(sound)))
    record, rows = committed(tmp_path)
    assert {row["query_id"] for row in rows} == {"bark", "bell", "residual"}
    error = laid_out(rows, sound.shape) - sound
    assert 10 * np.log10(np.square(error).mean() / np.square(sound).mean()) < -100
    residual = [row for row in rows if row["query_id"] == "residual"]
    assert [row["stem_id"] for row in residual] == list(dict.fromkeys(row["stem_id"] for row in residual))
    assert all(row["presence"] is None and row["embedding"] is None and row["events"] == [] for row in residual)
    (told,) = [item for item in record.coverage if item.query_id == "residual"]
    assert (told.windows, told.stems) == (0, len(residual))


def test_a_silent_residual_is_no_row(studio: Studio, tmp_path: Path) -> None:
    sound = np.zeros((1, 20 * RATE), np.float32)
    receipt_of(studio.worker(tmp_path, residual=True), unit(piece(sound)))
    assert committed(tmp_path)[1] == []


def test_a_library_has_one_row_per_event_with_the_event_inside_its_padding(studio: Studio, tmp_path: Path) -> None:
    sound = lively(40.0, channels=2)
    receipt_of(studio.worker(tmp_path / "stems"), unit(piece(sound)))
    heard = [p for item in committed(tmp_path / "stems")[0].coverage for p in item.window_presence]
    out = tmp_path / "library"
    worker = studio.worker(out, threshold=0.8 * float(np.median(heard)), kind=MineSettings, padding_seconds=0.5)
    tags = {"tags": ["outdoor", "take=3"], "channel_layout": "stereo", "source_clock_seconds": 3600.0}
    receipt = receipt_of(worker, unit(piece(sound, **tags)))
    record, rows = committed(out)
    assert receipt["events"] == receipt["stems"] == len(rows) == sum(source.stems for source in record.sources) > 2
    for row in rows:
        (event,) = row["events"]
        assert row["start_seconds"] <= event["start_seconds"] < event["end_seconds"] <= row["end_seconds"]
        assert event["start_seconds"] - row["start_seconds"] <= 0.5 + 1e-6
        assert row["presence"] == pytest.approx(event["presence"])
        assert row["tags"] == ["outdoor", "take=3"]
        assert (row["channel_layout"], row["source_clock_seconds"]) == ("stereo", 3600.0)
        assert row["residual_ratio_db"] is not None
    assert len({row["stem_id"] for row in rows}) == len(rows)


def test_mono_stems_are_those_of_the_mean_of_the_channels(studio: Studio, tmp_path: Path) -> None:
    sound = lively(20.0, channels=2)
    receipt_of(studio.worker(tmp_path / "mono", channels="mono"), unit(piece(sound, channel_layout="stereo")))
    receipt_of(studio.worker(tmp_path / "mean"), unit(piece(sound.mean(axis=0, keepdims=True))))
    (_, mono), (_, mean) = committed(tmp_path / "mono"), committed(tmp_path / "mean")
    assert [(row["channels"], row["channel_layout"]) for row in mono] == [(1, "mono")] * len(mean)
    assert np.abs(laid_out(mono, (1, 20 * RATE)) - laid_out(mean, (1, 20 * RATE))).max() < 1e-4


def test_stems_keep_the_rate_of_a_piece_that_was_decoded_at_its_own(studio: Studio, tmp_path: Path) -> None:
    rate = 9600
    sound = lively(20.0 * rate / RATE)[:, : 20 * rate]
    receipt_of(studio.worker(tmp_path, rate="source"), unit(piece(sound, sample_rate=rate)))
    _, rows = committed(tmp_path)
    assert {row["sample_rate"] for row in rows} == {rate}
    assert all(row["end_seconds"] == 20.0 for row in rows)
    assert all(row["embedding"] for row in rows)


@pytest.mark.parametrize("rate", [3999, 192_001])
def test_a_rate_beyond_what_stems_can_have_is_a_failure_of_the_source(
    studio: Studio, tmp_path: Path, rate: int
) -> None:
    sound = np.full((1, 2 * rate), 0.1, np.float32)
    receipt = receipt_of(studio.worker(tmp_path, rate="source"), unit(piece(sound, sample_rate=rate)))
    assert receipt["error_classes"] == ["rate_out_of_range"]
    assert f"{rate} Hz is outside of 4000 to 192000 Hz" in receipt["messages"][0]


@pytest.mark.parametrize(("rate", "expected"), [("model", 32_000), ("source", 44_100)])
def test_an_imported_clapsep_behind_the_shipped_gate_commits_stems_of_decoded_media(
    studio: Studio, tmp_path: Path, rate: str, expected: int
) -> None:
    """13 s of stereo FLAC at 44.1 kHz; exemplars at 4 kHz for towers that hear at 48 and 32."""
    large = Studio(studio.catalog, save_small_published(tmp_path / "tiny.safetensors"))
    worker = large.worker(tmp_path / "out", rate=rate, residual=True)
    source = source_of(encode(tmp_path / "stereo.flac", chirp(44_100, 13.0), 44_100))
    plan = pa.Table.from_pylist([unit_row([Member(source, 0, 0.0, None)], seconds=13.0, attempt=1)], schema=PLAN_SCHEMA)
    decode = Decode(sample_rate=worker.settings.decode_rate(worker.engine.sample_rate))
    receipt = receipt_of(worker, decode(plan))
    assert (receipt["committed"], receipt["statuses"]) == (True, ["ok"])
    record, rows = committed(tmp_path / "out")
    assert sorted(row["query_id"] for row in rows) == ["bark", "bell", "residual"]
    mixture = chirp(expected, 13.0).T
    for row in rows:
        samples, stem_rate = decode_flac(row["audio"]["bytes"], row["gain_db"])
        assert (stem_rate, samples.shape) == (expected, mixture.shape)
        assert 0.02 < np.linalg.norm(samples) / np.linalg.norm(mixture) < 0.99
        assert row["model_signature"].startswith("tiny-")
        if row["query_id"] != "residual":
            assert len(row["embedding"]) == SMALL.embedding
            assert 0.0 < row["presence"] < 1.0
    covered = {(c.query_id, c.windows, c.windows_passed) for c in record.coverage}
    assert covered >= {("bark", 2, 2), ("bell", 2, 2)}
