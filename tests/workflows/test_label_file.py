"""Labels that are held out: one a line, with spaces inside."""

from __future__ import annotations

from pathlib import Path

import pytest

from workflows.label_file import LabelFileError, held_out_labels


def test_labels_stand_one_a_line_and_may_be_of_several_words(tmp_path: Path) -> None:
    (tmp_path / "held.txt").write_bytes("\ufeffdog\r\n  church bell \n\nsea_waves\n".encode())
    assert held_out_labels(tmp_path / "held.txt") == {"dog", "church bell", "sea_waves"}


def test_what_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "held.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(LabelFileError, match=r"held\.txt is no UTF-8 text .* give one label a line"):
        held_out_labels(tmp_path / "held.txt")


@pytest.mark.parametrize(("name", "why"), [("nowhere.txt", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(LabelFileError, match=f"cannot be read .{why}.*one label a line"):
        held_out_labels(tmp_path / name)
