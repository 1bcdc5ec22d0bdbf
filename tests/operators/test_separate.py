"""Separate and commit: whatever becomes of its pieces, a unit is one file whose record agrees with its rows."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from made_media import chirp, encode, source_of
from small_clapsep import save_small_published
from small_model import RATE, Samples, lively, save_small
from small_towers import SMALL

from operators.attempts import MAX_LOST_WORKERS, AttemptLedger, Attempts
from operators.catalog import Catalog, QuerySpec
from operators.dataset import rebuild_coverage, rebuild_sources
from operators.decode import Decode
from operators.footers import read_records
from operators.media.flac import decode_flac
from operators.member import Member, unit_row
from operators.records import UnitRecord
from operators.schema import PLAN_SCHEMA, RECEIPT_SCHEMA, STEM_SCHEMA, UNIT_SCHEMA
from operators.separate import SeparateAndCommit
from operators.settings import ExtractSettings, MineSettings
from operators.stem_engine import Coverage, StemEngine
from operators.stretches import Stretch
from operators.unit_file import unit_path
from operators.verification import verify_dataset

UNIT = "ab" * 16
Piece = dict[str, Any]


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """The operator sets the number of threads of its process; the next tests get theirs back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


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


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    folder = tmp_path_factory.mktemp("studio")
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


def test_a_batch_of_units_is_a_batch_of_receipts(studio: Studio, tmp_path: Path) -> None:
    tables = [unit(piece(lively(5.0), uri=f"/archive/{k}.wav"), unit_id=f"{k}" * 32) for k in range(3)]
    receipts = studio.worker(tmp_path)(pa.concat_tables(tables)).to_pylist()
    assert [receipt["unit_id"] for receipt in receipts] == [f"{k}" * 32 for k in range(3)]
    assert {record.unit_id for record in read_records(str(tmp_path))} == {f"{k}" * 32 for k in range(3)}


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
