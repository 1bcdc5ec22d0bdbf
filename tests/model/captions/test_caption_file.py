"""Files of captions: lines, CSV, JSONL, and what is wrong with them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from model.captions.caption_file import CaptionFileError, read_captions, write_captions

CAPTIONS = ["a dog barks, loudly", 'a man says "hello"', "naïve music", "a dog barks, loudly"]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_captions(tmp_path / "deep" / "captions.txt", CAPTIONS)
    assert read_captions(tmp_path / "deep" / "captions.txt") == CAPTIONS
    assert os.listdir(tmp_path / "deep") == ["captions.txt"]


def test_lines_may_be_of_any_editor(tmp_path: Path) -> None:
    path = tmp_path / "captions.txt"
    path.write_bytes("\ufeffa dog barks\r\n\r\n  a  bell \n\t\nrain".encode())
    assert read_captions(path) == ["a dog barks", "a bell", "rain"]


def test_a_column_of_a_csv_or_of_json_lines_is_read(tmp_path: Path) -> None:
    table = tmp_path / "captions.csv"
    table.write_text('file,caption\n1.wav,"a dog barks, loudly"\n2.wav,"a\nbell"\n3.wav,\n', encoding="utf-8")
    assert read_captions(table) == ["a dog barks, loudly", "a bell"]
    assert read_captions(table, "file") == ["1.wav", "2.wav", "3.wav"]
    lines = tmp_path / "captions.jsonl"
    lines.write_text("\n".join(json.dumps({"caption": c}) for c in CAPTIONS) + "\n\n", encoding="utf-8")
    assert read_captions(lines) == CAPTIONS


def test_a_field_of_a_csv_may_hold_any_separator_of_lines(tmp_path: Path) -> None:
    table = tmp_path / "captions.csv"
    table.write_text('caption\na dog\u2028barks\na\x85bell\n"a\x0bcar"\n', encoding="utf-8")
    assert read_captions(table) == ["a dog barks", "a bell", "a car"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"file,text\n1,2\n", "no column 'caption'; its columns are file, text"),
        ("a.csv", b"", "no column 'caption'; its columns are none"),
        ("a.jsonl", b'{"caption": "rain"}\n{"caption": \n', "line 2: no JSON"),
        ("a.jsonl", b'{"caption": 3}\n', "line 1: no object with a text under 'caption'"),
        ("a.csv", b"caption\n" + b"x" * 200_000, "line 1: no CSV .field larger"),
        ("a.txt", b"\n \n", "holds no caption"),
        ("a.txt", b"caf\xe9", "is not UTF-8 text"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CaptionFileError, match=said):
        read_captions(tmp_path / name)


def test_a_file_that_is_not_there_is_said_to_be_makeable(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="soundquarry captions generate"):
        read_captions(tmp_path / "none.txt")
