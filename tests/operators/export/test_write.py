from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile
from fabricated_dataset import Member, commit_unit, sign

from operators.export.plan import ExportFile, Shape, plan_events, plan_stems
from operators.export.read import RowChangedError, RowReader
from operators.export.selection import Selection, select
from operators.export.write import MAX_OPEN, Named, facts_of, passes, write_pass
from operators.unit_file import unit_path

RATE = 8000
RESIDUAL = {"presence": None, "events": []}


@pytest.fixture
def out(tmp_path: Path) -> str:
    folder = str(tmp_path / "out")
    sign(folder, kind="extract")
    return folder


def noise(seconds: float, channels: int = 1, seed: int = 0, peak: float = 0.9) -> np.ndarray:
    drawn = np.random.default_rng(seed).uniform(-peak, peak, (channels, round(seconds * RATE)))
    return (np.rint(drawn * 2**23) / 2**23).astype(np.float32)


def write(
    out: str, to: Path, files: list[ExportFile], shape: Shape = "stems", gain_db: float = 0.0
) -> list[np.ndarray]:
    """The samples [C, T] of each file, as soundfile reads them."""
    named = [Named(f"{to}/{index:02}.wav", file) for index, file in enumerate(files)]
    reader = RowReader(out)
    for together in passes(named, shape):
        write_pass(together, reader, "wav", gain_db)
    return [soundfile.read(item.uri, dtype="float32", always_2d=True)[0].T for item in named]


def stems(out: str) -> list[ExportFile]:
    return plan_stems(select(out, Selection()))


def test_rows_stand_at_their_sample_and_between_them_is_silence(out: str, tmp_path: Path) -> None:
    rows = [(3 / RATE, noise(1.5)), (2.0, noise(7.0, seed=1)), (15.25, noise(2.125, seed=2))]
    commit_unit(out, "aa01", [Member("/a.wav", seconds=20.0, stems={"dog": rows})], queries=("dog",))
    (back,) = write(out, tmp_path / "to", stems(out))
    expected = np.zeros((1, 20 * RATE), np.float32)
    for start, samples in rows:
        expected[:, round(start * RATE) : round(start * RATE) + samples.shape[1]] = samples
    np.testing.assert_array_equal(back, expected)


def test_units_are_laid_end_to_end_in_order_of_time_not_of_their_files(out: str, tmp_path: Path) -> None:
    whole = noise(30.0, channels=2)
    cuts = {"cc01": 0, "aa01": 10, "bb01": 20}
    for unit_id, start in cuts.items():
        part = whole[:, start * RATE : (start + 10) * RATE]
        member = Member("/a.wav", seconds=10.0, start=float(start), stems={"dog": [(float(start), part)]}, channels=2)
        commit_unit(out, unit_id, [member], queries=("dog",))
    (back,) = write(out, tmp_path / "to", stems(out))
    np.testing.assert_array_equal(back, whole)


def test_what_two_clips_tell_of_one_stretch_is_taken_once(out: str, tmp_path: Path) -> None:
    whole = noise(15.0)
    for unit_id, start in (("aa01", 0), ("bb01", 5)):
        part = whole[:, start * RATE : (start + 10) * RATE]
        member = Member("/a.wav", seconds=10.0, start=float(start), stems={"dog": [(float(start), part)]})
        commit_unit(out, unit_id, [member], queries=("dog",))
    (back,) = write(out, tmp_path / "to", stems(out))
    np.testing.assert_array_equal(back, whole)


def test_the_gain_that_kept_a_stem_from_clipping_is_undone(out: str, tmp_path: Path) -> None:
    loud, soft = noise(2.0, peak=2.5), noise(2.0, seed=1)
    rows = {"dog": [(0.0, loud), (2.0, soft)], "rain": [(0.0, soft)]}
    commit_unit(out, "aa01", [Member("/a.wav", seconds=4.0, stems=rows)])
    dog, rain = write(out, tmp_path / "to", stems(out))
    assert [soundfile.info(tmp_path / "to" / f"0{k}.wav").subtype for k in (0, 1)] == ["FLOAT", "PCM_24"]
    assert np.abs(dog[:, : 2 * RATE] - loud).max() < 4 / 2**23
    np.testing.assert_array_equal(dog[:, 2 * RATE :], soft)
    np.testing.assert_array_equal(rain[:, : 2 * RATE], soft)


def test_one_gain_turns_all_files_down_alike(out: str, tmp_path: Path) -> None:
    rows = {"dog": [(0.0, noise(2.0, peak=2.0))], "rain": [(0.0, noise(2.0, seed=1))]}
    commit_unit(out, "aa01", [Member("/a.wav", seconds=2.0, stems=rows)])
    back = write(out, tmp_path / "to", stems(out), gain_db=-6.1)
    for got, query in zip(back, ("dog", "rain"), strict=True):
        assert np.abs(got - rows[query][0][1] * 10 ** (-6.1 / 20)).max() < 2 / 2**23
    assert soundfile.info(tmp_path / "to" / "00.wav").subtype == "PCM_24"


def test_stems_and_residual_add_up_to_the_mixture(out: str, tmp_path: Path) -> None:
    mixture = noise(20.0, channels=2, peak=0.99)
    share = np.random.default_rng(1).dirichlet([1, 1, 1], mixture.shape[1]).T.astype(np.float32)
    dog, rain = mixture * share[0], mixture * share[1]
    kept = {"dog": [(5.0, dog[:, 5 * RATE : 9 * RATE])], "rain": [(0.0, rain)]}
    rest = mixture - rain
    rest[:, 5 * RATE : 9 * RATE] -= kept["dog"][0][1]
    commit_unit(out, "aa01", [Member("/a.wav", stems=kept, channels=2)])
    residual = Member("/a.wav", stems={"residual": [(0.0, rest)]}, channels=2, columns=RESIDUAL, member_id="rest")
    commit_unit(out, "aa02", [residual], queries=("residual",))
    for gain_db in (0.0, -4.0):
        parts = write(out, tmp_path / f"to{gain_db}", stems(out), gain_db=gain_db)
        assert len(parts) == 3
        error = sum(parts) - mixture * 10 ** (gain_db / 20)
        assert 20 * np.log10(np.abs(error).max()) < -80


def test_a_mono_stem_of_a_dataset_of_many_channels_stays_mono(out: str, tmp_path: Path) -> None:
    rows = {"dog": [(0.0, noise(1.0))], "rain": [(0.0, noise(1.0, channels=6))]}
    commit_unit(out, "aa01", [Member("/a.wav", seconds=1.0, stems=rows, channels=6)])
    assert [len(samples) for samples in write(out, tmp_path / "to", stems(out))] == [1, 6]


def test_events_are_the_very_samples_of_their_stretch(out: str, tmp_path: Path) -> None:
    rows = [(0.0, noise(60.0)), (60.0, noise(10.0, seed=1))]
    spans = [(1.0, 3.5), (58.25, 60.0), (59.0, 61.0)]
    events = [{"start_seconds": start, "end_seconds": end, "presence": 0.9} for start, end in spans]
    member = Member("/a.wav", seconds=70.0, stems={"dog": rows[:1]}, columns={"events": events})
    commit_unit(out, "aa01", [member], queries=("dog",))
    back = write(out, tmp_path / "to", plan_events(out, select(out, Selection())), "events")
    for got, (start, end) in zip(back, spans, strict=True):
        np.testing.assert_array_equal(got, rows[0][1][:, round(start * RATE) : round(min(end, 60.0) * RATE)])


def test_many_queries_are_written_a_bounded_number_at_a_time(out: str, tmp_path: Path) -> None:
    queries = tuple(f"q{k:02}" for k in range(MAX_OPEN + 3))
    rows = {query: [(0.0, noise(0.5, seed=seed))] for seed, query in enumerate(queries)}
    commit_unit(out, "aa01", [Member("/a.wav", seconds=0.5, stems=rows)], queries=queries)
    files = stems(out)
    assert [len(together) for together in passes([Named("x", file) for file in files], "stems")] == [MAX_OPEN, 3]
    for got, query in zip(write(out, tmp_path / "to", files), queries, strict=True):
        np.testing.assert_array_equal(got, rows[query][0][1])


def test_memory_does_not_grow_with_the_length_of_a_file(out: str, tmp_path: Path) -> None:
    minutes = 60
    minute = noise(60.0, channels=2)  # 3.8 MB as int32, so that an hour is 230 MB
    rows = [(60.0 * k, minute) for k in range(minutes)]
    member = Member("/a.wav", seconds=60.0 * minutes, stems={"dog": rows}, channels=2)
    commit_unit(out, "aa01", [member], queries=("dog",), row_group_bytes=2**22)
    files, process = stems(out), psutil.Process()
    named = [Named(str(tmp_path / "to.wav"), files[0])]
    write_pass(
        [Named(str(tmp_path / "first.wav"), ExportFile(files[0].rows[:1], 0, 60 * RATE, (0, 60), 0.9))],
        RowReader(out),
        "wav",
        0.0,
    )
    before = process.memory_info().rss
    peak = []

    class Watched(RowReader):
        def blocks(self, row, start, stop):  # type: ignore[no-untyped-def]
            peak.append(process.memory_info().rss)
            return super().blocks(row, start, stop)

    write_pass(named, Watched(out), "wav", 0.0)
    assert soundfile.info(named[0].uri).frames == minutes * 60 * RATE
    assert (max(peak) - before) / 2**20 < 60


def test_a_dataset_that_changes_on_the_way_is_told(out: str, tmp_path: Path) -> None:
    commit_unit(out, "aa01", [Member("/a.wav"), Member("/b.wav")])
    files = stems(out)
    commit_unit(out, "aa01", [Member("/c.wav")])
    with pytest.raises(RowChangedError, match="has changed"):
        write(out, tmp_path / "to", files)
    os.remove(unit_path(out, "aa01"))
    with pytest.raises(RowChangedError, match="has changed"):
        write(out, tmp_path / "to", files)
    assert list((tmp_path / "to").iterdir()) == []


def test_audio_that_is_shorter_than_its_row_tells_is_an_error_not_silence(out: str, tmp_path: Path) -> None:
    commit_unit(out, "aa01", [Member("/a.wav", columns={"end_seconds": 25.0})])
    with pytest.raises(RowChangedError, match="not as long"):
        write(out, tmp_path / "to", stems(out))


def test_the_seconds_that_are_written_are_told_on_the_way(out: str, tmp_path: Path) -> None:
    rows = {"dog": [(2.0, noise(1.5))], "rain": [(0.0, noise(20.0, seed=1))]}
    commit_unit(out, "aa01", [Member("/a.wav", seconds=20.0, stems=rows)])
    named = [Named(f"{tmp_path}/{index}.wav", file) for index, file in enumerate(stems(out))]
    told: list[float] = []
    write_pass(named, RowReader(out), "wav", 0.0, told.append)
    assert sum(told) == pytest.approx(40.0)
    assert len(told) == 4  # a row each, and what is left to the end of each


def test_a_file_of_several_clips_tells_the_tags_of_all(out: str) -> None:
    for start, tags in ((0.0, ["wet", "field"]), (20.0, ["dry", "wet"])):
        commit_unit(out, f"aa{start:02.0f}", [Member("/a.wav", start=start, columns={"tags": tags})])
    (file,) = stems(out)
    assert facts_of(file).tags == file.tags == ("wet", "field", "dry")
