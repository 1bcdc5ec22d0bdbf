from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fabricated_dataset import Member, commit_unit, sign

from operators.export.plan import ExportFile, check_clipping, check_rates, plan_events, plan_stems
from operators.export.selection import ExportError, Selected, Selection, select
from operators.schema import EVENT_TABLE_SCHEMA

RATE = 8000


@pytest.fixture
def out(tmp_path: Path) -> str:
    sign(str(tmp_path), kind="extract")
    return str(tmp_path)


@pytest.fixture
def library(tmp_path: Path) -> str:
    sign(str(tmp_path))
    event = {"start_seconds": 5.5, "end_seconds": 6.5, "presence": 0.9}
    stems = {"dog": [(5.0, np.full((1, 2 * RATE), 0.1, np.float32))]}
    members = [
        Member(f"/{name}.wav", stems=stems, columns={"events": [event], "stem_id": name, "presence": presence})
        for name, presence in (("a", 0.5), ("b", 0.7), ("c", 0.9))
    ]
    commit_unit(str(tmp_path), "aa01", members, queries=("dog",))
    return str(tmp_path)


def rank(library: str, *rows: tuple[str, int, str | None]) -> None:
    columns = [{"stem_id": stem_id, "rank": place, "duplicate_of": of} for stem_id, place, of in rows]
    pq.write_table(pa.Table.from_pylist(columns, schema=EVENT_TABLE_SCHEMA), f"{library}/events.parquet")


def everything(out: str) -> Selected:
    return select(out, Selection())


def test_a_stem_is_as_long_as_what_was_decoded_and_begins_where_that_does(out: str) -> None:
    commit_unit(out, "aa01", [Member("/a.wav", seconds=600.0, start=600.0, present=())])
    commit_unit(out, "aa02", [Member("/a.wav", seconds=70.0, start=1200.0)])
    (file,) = plan_stems(everything(out))
    assert (file.start, file.stop) == (600 * RATE, 1270 * RATE)
    assert [row.start_seconds for row in file.rows] == [1200.0, 1260.0]
    assert file.time_reference == 600 * RATE


def test_the_time_reference_counts_from_the_clock_of_the_source(out: str) -> None:
    commit_unit(out, "aa01", [Member("/a.wav", columns={"source_clock_seconds": 36_000.5})])
    assert plan_stems(everything(out))[0].time_reference == round(36_000.5 * RATE)
    assert plan_events(out, everything(out))[0].time_reference == round(36_001.5 * RATE)


def test_events_of_stems_are_cut_out_and_ranked_by_presence(out: str) -> None:
    events = [
        {"start_seconds": 1.0, "end_seconds": 2.5, "presence": 0.6},
        {"start_seconds": 4.0, "end_seconds": 5.0, "presence": 0.9},
    ]
    commit_unit(out, "aa01", [Member("/a.wav", columns={"events": events})])
    first, second = plan_events(out, everything(out))
    assert (first.start, first.stop, first.rank) == (RATE, round(2.5 * RATE), 2)
    assert (second.start, second.stop, second.rank) == (4 * RATE, 5 * RATE, 1)
    assert plan_events(out, everything(out), top=1) == [second]
    assert plan_events(out, everything(out), min_presence=0.7) == [second]
    with pytest.raises(ExportError, match=r"the highest: 0\.900"):
        plan_events(out, everything(out), min_presence=0.95)
    with pytest.raises(ExportError, match="needs a library"):
        plan_events(out, everything(out), no_duplicates=True)


def test_a_residual_is_a_stem_without_presence_and_without_events(out: str) -> None:
    columns = {"presence": None, "events": [], "embedding": None}
    commit_unit(out, "aa01", [Member("/a.wav", present=("residual",), columns=columns)], queries=("residual", "dog"))
    (file,) = plan_stems(everything(out), min_presence=0.5)
    assert (file.head.query_id, file.presence) == ("residual", None)
    with pytest.raises(ExportError, match="no event is told"):
        plan_events(out, everything(out))


def test_events_of_a_library_are_its_rows_with_its_ranks(library: str) -> None:
    rank(library, ("a", 2, None), ("b", 3, "a"), ("c", 1, None))
    files = plan_events(library, everything(library))
    assert [(file.head.source_uri, file.rank) for file in files] == [("/a.wav", 2), ("/b.wav", 3), ("/c.wav", 1)]
    assert {(file.start, file.stop, file.span_seconds) for file in files} == {(5 * RATE, 7 * RATE, (5.5, 6.5))}
    assert [file.rank for file in plan_events(library, everything(library), top=2)] == [2, 1]


def test_the_best_are_counted_among_those_that_other_filters_leave(library: str) -> None:
    rank(library, ("a", 3, None), ("b", 2, "c"), ("c", 1, None))
    files = plan_events(library, everything(library), top=2, no_duplicates=True)
    assert [file.rank for file in files] == [3, 1]


def test_a_library_whose_events_are_not_ranked_says_what_to_do(library: str) -> None:
    with pytest.raises(ExportError, match=r"events\.parquet is missing"):
        plan_events(library, everything(library))
    rank(library, ("a", 1, None))
    with pytest.raises(ExportError, match=r"2 of 3 events are not ranked .*b, c"):
        plan_events(library, everything(library))
    with pytest.raises(ExportError, match="--shape events"):
        plan_stems(everything(library))


def loud(out: str, peak: float) -> list[tuple[str, ExportFile]]:
    stems = {"dog": [(0.0, np.full((1, RATE), peak, np.float32))]}
    commit_unit(out, "aa01", [Member("/a.wav", seconds=1.0, stems=stems)], queries=("dog",))
    return [("a.flac", file) for file in plan_stems(everything(out))]


def test_a_stem_above_full_scale_becomes_float_or_is_refused_with_the_gain_that_fits(out: str) -> None:
    files = loud(out, 1.44)
    assert check_clipping(files, "wav", 0.0) == 1
    with pytest.raises(ExportError, match=r"\+3\.17 dBFS.*--gain-db -3\.2"):
        check_clipping(files, "flac", 0.0)
    assert check_clipping(files, "flac", -3.2) == 0


def test_a_stem_at_full_scale_does_not_clip_until_it_is_turned_up(out: str) -> None:
    files = loud(out, 1.0)
    assert check_clipping(files, "flac", 0.0) == 0
    assert check_clipping(files, "wav", 0.1) == 1


def test_rows_of_two_forms_do_not_make_one_file(out: str) -> None:
    commit_unit(out, "aa01", [Member("/a.wav", seconds=600.0)])
    commit_unit(out, "aa02", [Member("/a.wav", seconds=60.0, start=600.0, channels=2)])
    with pytest.raises(ExportError, match="differ in form"):
        plan_stems(everything(out))


def at_rate(out: str, rate: int) -> list[tuple[str, ExportFile]]:
    stems = {"dog": [(0.0, np.full((1, 800), 0.1, np.float32))]}
    commit_unit(out, "aa01", [Member("/a.wav", seconds=0.1, stems=stems)], queries=("dog",))
    (file,) = plan_stems(everything(out))
    return [("a.flac", replace(file, rows=(replace(file.head, sample_rate=rate),)))]


@pytest.mark.parametrize("rate", [65_535, 65_537, 96_001, 655_350, 768_000])
def test_a_rate_that_flac_cannot_hold_is_refused_and_wav_takes_it(out: str, rate: int) -> None:
    with pytest.raises(ExportError, match=rf"a\.flac has {rate} Hz, and above 65534 Hz .*--format wav"):
        check_rates(at_rate(out, rate), "flac")
    check_rates(at_rate(out, rate), "wav")


@pytest.mark.parametrize("rate", [4000, 44_100, 65_534, 65_540, 96_000, 192_000, 655_340])
def test_every_other_rate_goes_into_flac(out: str, rate: int) -> None:
    check_rates(at_rate(out, rate), "flac")
