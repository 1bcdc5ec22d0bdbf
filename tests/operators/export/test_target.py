from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from operators.export.index import COLUMNS, INDEX_FILE
from operators.export.selection import ExportError
from operators.export.target import check_target, refuse_existing


def test_files_that_are_there_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "Walk").mkdir()
    (tmp_path / "Walk" / "Dog.wav").touch()
    refuse_existing(str(tmp_path), ["walk/rain.wav"])
    with pytest.raises(ExportError, match=r"1 of 2 files exist already .*walk/dog\.wav.*--overwrite"):
        refuse_existing(str(tmp_path), ["walk/dog.wav", "walk/rain.wav"])
    refuse_existing("memory://nothing-here", ["walk/dog.wav"])


def refused(to: object, *names: str, overwrite: bool = False) -> str:
    with pytest.raises(ExportError) as caught:
        check_target(str(to), names, overwrite=overwrite)
    return str(caught.value)


def test_files_behind_a_link_and_hidden_ones_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "dog.wav").touch()
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "walk").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "to" / ".hidden.wav").touch()
    (tmp_path / "to" / "lost.wav").symlink_to(tmp_path / "nowhere")
    for name in ("walk/dog.wav", ".hidden.wav", ".HIDDEN.wav", "lost.wav"):
        assert "--overwrite" in refused(tmp_path / "to", name, "new.wav")
        check_target(str(tmp_path / "to"), [name], overwrite=True)
    check_target(str(tmp_path / "to"), ["walk/rain.wav", ".other.wav"], overwrite=False)


def test_hidden_files_in_a_bucket_are_not_written_over() -> None:
    with fsspec.open("memory://export-target/walk/.dog.wav", "wb") as file:
        file.write(b"x")
    assert "--overwrite" in refused("memory://export-target", "walk/.dog.wav")
    assert "is a file" in refused("memory://export-target/walk/.dog.wav", "dog.wav")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_where_a_folder_is_needed_and_a_folder_where_a_file_is_are_refused(
    tmp_path: Path, overwrite: bool
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "to" / "dog.wav").mkdir(parents=True)
    (tmp_path / "to" / "walk").touch()
    (tmp_path / "index" / INDEX_FILE).mkdir(parents=True)
    assert "is a file, and a folder is needed" in refused(tmp_path / "file", "x.wav", overwrite=overwrite)
    assert f"{tmp_path}/file is no folder" in refused(tmp_path / "file" / "deep", "x.wav", overwrite=overwrite)
    assert f"{tmp_path}/to/walk is no folder" in refused(tmp_path / "to", "walk/a/x.wav", overwrite=overwrite)
    assert "folders of their names lie in" in refused(tmp_path / "to", "dog.wav", overwrite=overwrite)
    assert INDEX_FILE in refused(tmp_path / "index", "x.wav", overwrite=overwrite)


def test_a_place_that_cannot_be_written_is_refused_and_one_that_can_is_left_as_it_was(tmp_path: Path) -> None:
    assert "nothing can be written into /proc" in refused("/proc/xx", "dog.wav")
    assert "--to unheardof://x cannot be reached" in refused("unheardof://x", "dog.wav")
    check_target(str(tmp_path / "new" / "deep"), ["walk/dog.wav"], overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_an_index_of_ours_is_no_reason_to_refuse_and_another_table_is(tmp_path: Path) -> None:
    (tmp_path / INDEX_FILE).write_text(",".join(COLUMNS) + "\n")
    check_target(str(tmp_path), ["dog.wav"], overwrite=False)
    (tmp_path / INDEX_FILE).write_text("name,notes\n")
    assert "is no index of an export of this version" in refused(tmp_path, "dog.wav")
    check_target(str(tmp_path), ["dog.wav"], overwrite=True)
