"""Places that cannot be written to are told before any work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workflows.writable import NotWritableError, check_writable


def test_a_new_file_may_be_in_folders_that_are_yet_to_be_made(tmp_path: Path) -> None:
    for path in (tmp_path / "a.json", tmp_path / "deep" / "down" / "a.json"):
        check_writable(path, "--out")
        assert not path.parent.exists() or not path.exists()
    (tmp_path / "a.json").write_text("{}")
    check_writable(tmp_path / "a.json", "--out")


def test_a_folder_and_what_lies_below_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotWritableError, match=r"--out .* is a folder; give the name of a file in it"):
        check_writable(tmp_path, "--out")
    (tmp_path / "file").touch()
    with pytest.raises(NotWritableError, match=r"--csv .*/file is no folder; give another name"):
        check_writable(tmp_path / "file" / "a.csv", "--csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_takes_no_file_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(NotWritableError, match="cannot be written to"):
        check_writable(tmp_path / "a.json", "--out")
