"""Decoding of sources that are cut, damaged, changed or gone: a bad source is a piece that says why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from made_media import RATE, chirp, encode, pieces_of, sample_media, source_of, span, whole

from operators.attempts import MAX_LOST_WORKERS, AttemptLedger
from operators.decode import Decode
from operators.failure import SourceFailure, is_transient
from operators.media.ffmpeg_process import Finished
from operators.member import Member, unit_row
from operators.schema import PLAN_SCHEMA, UNIT_SCHEMA
from operators.source import Source
from operators.sources import list_sources


def test_file_cut_short_is_partial_and_says_how_much_there_is(tmp_path: Path) -> None:
    path = encode(tmp_path / "x.mp4", chirp(44_100, 30), 44_100, "-movflags", "+faststart")
    complete = whole(source_of(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = source_of(path)
    (first,) = pieces_of(Decode(unit_seconds=60), source)
    assert (first["status"], first["error_class"]) == ("partial", "truncated")
    assert "of 30.0 s could be decoded" in first["message"]
    have = first["span_samples"]
    assert 10 * RATE < have < 20 * RATE
    assert np.array_equal(span(first)[: have - 2048], complete[: have - 2048])


def test_unit_behind_the_end_of_a_file_cut_short_is_partial_and_empty(tmp_path: Path) -> None:
    path = encode(tmp_path / "x.mp4", chirp(44_100, 30), 44_100, "-movflags", "+faststart")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (piece,) = pieces_of(Decode(), source_of(path), 0, 20.0, 30.0)
    assert (piece["status"], piece["span_samples"], len(piece["pcm"])) == ("partial", 0, 0)
    assert "of 30.0 s" in piece["message"]


def test_damaged_packets_are_told(tmp_path: Path) -> None:
    path = encode(tmp_path / "x.mka", chirp(44_100, 20), 44_100, "-c:a", "flac")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = np.random.default_rng(1).bytes(20_000)
    path.write_bytes(bytes(data))
    (piece,) = pieces_of(Decode(), source_of(path))
    assert piece["status"] == "partial"
    assert piece["span_samples"] > 15 * RATE


def test_failure_known_to_the_planner_is_passed_on(tmp_path: Path) -> None:
    problem = SourceFailure(status="unreadable", error_class="broken_archive", message="repack it", stage="list")
    (piece,) = pieces_of(Decode(), Source("/x.tar", "1", 1, problem=problem))
    assert [piece[k] for k in ("status", "error_class", "message", "stage", "track")] == [
        "unreadable", "broken_archive", "repack it", "list", None,
    ]  # fmt: skip


def test_bad_member_does_not_touch_its_neighbours(tmp_path: Path) -> None:
    good = encode(tmp_path / "a.wav", chirp(16_000, 1), 16_000)
    (tmp_path / "b.wav").touch()
    (tmp_path / "c.mp3").write_bytes(b"no sound" * 200)
    members = [Member(source) for source in list_sources([str(tmp_path)])]
    row = unit_row([*members, Member(Source(str(tmp_path / "gone.wav"), "1-1", 1))], seconds=None, attempt=2)
    unit = Decode()(pa.Table.from_pylist([row], schema=PLAN_SCHEMA))
    assert unit.schema == UNIT_SCHEMA
    (kept,) = unit.drop_columns("pieces").to_pylist()
    assert kept == row
    states = [(p["source_uri"], p["status"], p["error_class"]) for p in unit["pieces"].to_pylist()[0]]
    assert states == [
        (str(good), "ok", None),
        (str(tmp_path / "b.wav"), "unreadable", "empty_file"),
        (str(tmp_path / "c.mp3"), "unreadable", "not_media"),
        (str(tmp_path / "gone.wav"), "failed", "vanished"),
    ]


def test_source_that_changed_since_it_was_planned_is_not_decoded(tmp_path: Path) -> None:
    path = encode(tmp_path / "x.wav", chirp(16_000, 1), 16_000)
    source = source_of(path)
    encode(path, chirp(16_000, 2), 16_000)
    (piece,) = pieces_of(Decode(), source)
    assert (piece["error_class"], piece["stage"]) == ("changed", "fetch")


def test_decode_that_takes_too_long_is_stopped_and_tried_again(tmp_path: Path) -> None:
    path = encode(tmp_path / "x.flac", chirp(48_000, 60), 48_000)
    (piece,) = pieces_of(Decode(timeout_seconds=0.001), source_of(path), 0, 0.0, 60.0)
    assert (piece["status"], piece["error_class"], piece["stage"]) == ("failed", "timeout", "decode")
    assert is_transient(piece["error_class"])


def test_truncated_sample_is_partial() -> None:
    (piece,) = pieces_of(Decode(), source_of(sample_media("truncated_faststart.mp4")))
    assert (piece["status"], piece["error_class"]) == ("partial", "truncated")
    assert 30 * RATE < piece["span_samples"] < 45 * RATE


class Lost(AttemptLedger):
    """The ledger as it looks when workers die: what began never ends."""

    def end(self, member_id: str) -> None:
        pass


def test_member_that_keeps_killing_decoders_is_given_up(tmp_path: Path) -> None:
    source = source_of(encode(tmp_path / "x.wav", chirp(16_000, 1), 16_000))
    decode = Decode(attempts=Lost())
    pieces = [pieces_of(decode, source)[0] for _ in range(MAX_LOST_WORKERS + 1)]
    assert [piece["error_class"] for piece in pieces] == [None] * MAX_LOST_WORKERS + ["worker_lost"]
    assert is_transient("worker_lost")
    assert (pieces[-1]["status"], pieces[-1]["stage"]) == ("failed", "decode")


def test_whatever_goes_wrong_with_a_source_is_a_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_of(encode(tmp_path / "x.wav", chirp(16_000, 1), 16_000))
    monkeypatch.setattr("operators.media.ffmpeg_process.run", lambda *_: Finished(0, b"{", ""))
    (piece,) = pieces_of(Decode(), source)
    assert (piece["status"], piece["error_class"], piece["stage"]) == ("failed", "unexpected", "decode")


def test_a_track_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    source = source_of(encode(tmp_path / "x.wav", chirp(16_000, 1), 16_000))
    (piece,) = pieces_of(Decode(), source, 3, 0.0, None)
    assert (piece["status"], piece["error_class"]) == ("failed", "no_such_track")
    assert "track 3 was asked for, it has 1" in piece["message"]


def test_small_file_of_many_hours_is_left_for_the_planner_to_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operators.decode.LONGEST_UNCUT_BYTES", 4 * RATE * 4)
    path = encode(tmp_path / "x.flac", chirp(16_000, 5, channels=1), 16_000)
    (piece,) = pieces_of(Decode(), source_of(path))
    assert (piece["status"], piece["error_class"], piece["span_samples"]) == ("failed", "long_source", None)
    (piece,) = pieces_of(Decode(), source_of(path), 0, 2.0, None)  # as the planner gives it the next time
    assert piece["status"] == "ok"
