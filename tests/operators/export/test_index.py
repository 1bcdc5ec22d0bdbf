from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from fabricated_dataset import SAMPLE_RATE, Member, commit_unit, sign

from operators.export.index import COLUMNS, index_csv, is_our_index, read_index
from operators.export.plan import ExportFile, plan_stems
from operators.export.selection import Selection, select
from operators.whole_file import place


@pytest.fixture
def out(tmp_path: Path) -> str:
    folder = str(tmp_path / "out")
    sign(folder, kind="extract")
    return folder


def stem(out: str) -> ExportFile:
    return plan_stems(select(out, Selection()))[0]


def test_the_index_has_a_line_per_file(out: str) -> None:
    columns = {"ucs_cat_id": "ANMLDog", "tags": ["wet", "field"], "source_clock_seconds": 3600.0}
    commit_unit(out, "aa01", [Member("/a, b.wav", columns=columns)])
    (row,) = csv.DictReader(io.StringIO(index_csv([("x/dog.wav", stem(out))]).decode()))
    assert row == {
        "file": "x/dog.wav", "source_uri": "/a, b.wav", "track": "0", "query_id": "dog",
        "query_text": "the sound of dog", "start_seconds": "0.000000", "end_seconds": "20.000000",
        "missing_seconds": "0.000", "presence": "0.9000", "rank": "", "ucs_cat_id": "ANMLDog", "tags": "wet; field",
        "sample_rate": "8000", "channels": "1", "time_reference": str(3600 * SAMPLE_RATE),
    }  # fmt: skip


def test_lines_of_other_exports_stay_and_those_of_the_same_files_are_replaced(out: str, tmp_path: Path) -> None:
    commit_unit(out, "aa01", [Member("/a.wav")])
    index = place(tmp_path / "index.csv")
    assert read_index(index) == []
    names = [("x.wav", "y.wav"), ("z.wav",), ("x.wav",)]
    for told in names:
        (tmp_path / "index.csv").write_bytes(index_csv([(name, stem(out)) for name in told], read_index(index)))
    assert [line["file"] for line in read_index(index)] == ["x.wav", "y.wav", "z.wav"]


def test_what_a_tag_holds_comes_back_from_the_index_whole(out: str, tmp_path: Path) -> None:
    tag = 'a "b", c\rd\ne\x00f' + "g" * 200_000
    commit_unit(out, "aa01", [Member("/a.wav", columns={"tags": [tag]})])
    (tmp_path / "index.csv").write_bytes(index_csv([("x.wav", stem(out))]))
    (line,) = read_index(place(tmp_path / "index.csv"))
    assert line["tags"] == tag


@pytest.mark.parametrize("content", [b"name,notes\nx,y\n", b"\xff\xfe", b"", ",".join(COLUMNS).encode() + b"\nx,y\n"])
def test_another_table_is_not_taken_for_an_index(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "index.csv").write_bytes(content)
    assert not is_our_index(place(tmp_path / "index.csv"))
