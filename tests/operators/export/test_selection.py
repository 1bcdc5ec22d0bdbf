from __future__ import annotations

import pytest
from fabricated_dataset import Member, commit_unit, sign

from operators.dataset import SignatureError, create_or_check_signature
from operators.export.selection import ExportError, Selection, select


@pytest.fixture
def out(tmp_path: object) -> str:
    sign(str(tmp_path), kind="extract")
    return str(tmp_path)


def told(out: str, **selection: tuple[str, ...]) -> list[tuple[str, int, str, float]]:
    rows = select(out, Selection(**selection)).rows
    return [(row.source_uri, row.track, row.query_id, row.start_seconds) for row in rows]


def test_rows_come_by_source_track_query_and_start_whatever_unit_holds_them(out: str) -> None:
    commit_unit(out, "aa02", [Member("/b.wav", seconds=70.0, start=600.0), Member("/a.wav", track=1)])
    commit_unit(out, "bb01", [Member("/b.wav", seconds=600.0, present=("rain", "dog")), Member("/a.wav", present=())])
    rows = told(out)
    assert rows == sorted(rows)
    assert [row[3] for row in rows if row[:3] == ("/b.wav", 0, "dog")] == [60.0 * k for k in range(12)]
    selected = select(out, Selection())
    assert selected.spans["/b.wav", 0] == (0.0, 670.0)
    assert selected.pairs_without_rows == 3  # /a.wav: dog and rain in track 0, rain in track 1


def test_queries_and_globs_of_sources_narrow_it(out: str) -> None:
    commit_unit(out, "aa01", [Member(f"/m/{name}.wav", present=("dog", "rain")) for name in ("a", "b")])
    assert {row[2] for row in told(out, queries=("rain",))} == {"rain"}
    assert {row[0] for row in told(out, sources=("*/b.wav",))} == {"/m/b.wav"}
    assert {row[0] for row in told(out, sources=("*/b.wav", "/m/a*"))} == {"/m/a.wav", "/m/b.wav"}


def test_filters_that_match_nothing_name_what_there_is(out: str) -> None:
    commit_unit(out, "aa01", [Member("/m/a.wav")])
    with pytest.raises(ExportError, match="there are dog, rain"):
        told(out, queries=("cat",))
    with pytest.raises(ExportError, match=r"none of the 1 sources.*/m/a\.wav"):
        told(out, sources=("b.wav",))
    with pytest.raises(ExportError, match=r"no stem of rain in 1 sources"):
        told(out, queries=("rain",))


def test_where_nothing_lies_there_is_no_dataset(tmp_path: object) -> None:
    with pytest.raises(ExportError, match="there is no dataset"):
        select(f"{tmp_path}/otu", Selection())
    sign(f"{tmp_path}/odd", kind="train")
    with pytest.raises(ExportError, match="kind 'train'"):
        select(f"{tmp_path}/odd", Selection())


def test_of_two_tries_of_a_member_only_the_one_that_counts_is_exported(out: str) -> None:
    commit_unit(out, "aa01", [Member("/a.wav", status="partial"), Member("/b.wav")])
    commit_unit(out, "aa02", [Member("/a.wav", seconds=30.0)], attempt=2)
    selected = select(out, Selection())
    assert [(row.source_uri, row.path.rpartition("/")[2]) for row in selected.rows] == [
        ("/a.wav", "aa02.parquet"),
        ("/b.wav", "aa01.parquet"),
    ]
    assert selected.spans["/a.wav", 0] == (0.0, 30.0)


def test_of_several_versions_the_newest_that_was_decoded_is_exported(out: str) -> None:
    commit_unit(out, "aa01", [Member("/a.wav", version="z", seconds=50.0)], run_id="20260101T000000-1")
    commit_unit(out, "aa02", [Member("/a.wav", version="a", seconds=30.0)], run_id="20260102T000000-1")
    commit_unit(out, "aa03", [Member("/a.wav", version="x", status="unreadable")], run_id="20260103T000000-1")
    selected = select(out, Selection())
    assert [row.path.rpartition("/")[2] for row in selected.rows] == ["aa02.parquet"]
    assert selected.spans["/a.wav", 0] == (0.0, 30.0)
    assert selected.versions_left_out == 1


def test_a_source_whose_name_holds_brackets_can_be_named(out: str) -> None:
    commit_unit(out, "aa01", [Member("/m/take [1].wav"), Member("/m/take 1.wav")])
    assert {row[0] for row in told(out, sources=("/m/take [1].wav",))} == {"/m/take [1].wav", "/m/take 1.wav"}
    assert {row[0] for row in told(out, sources=("/m/take 1.wav",))} == {"/m/take 1.wav"}


@pytest.mark.parametrize("version", [{"schema_version": 1}, {}])
def test_a_dataset_of_another_version_is_refused_in_a_sentence(tmp_path: object, version: dict[str, int]) -> None:
    create_or_check_signature(f"{tmp_path}/old", {"kind": "extract", **version})
    found = version.get("schema_version", r"\(not set\)")
    with pytest.raises(SignatureError, match=f"tables of version {found}, and this .* reads version 2: make it again"):
        select(f"{tmp_path}/old", Selection())
