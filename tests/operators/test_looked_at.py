from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
from made_archives import zip_of

from operators.looked_at import looked_at


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an archive, a file and a manifest."""
    (tmp_path / "talks").mkdir()
    (tmp_path / "talks" / "x.zip").write_bytes(zip_of([("a.wav", b"1"), ("b.wav", b"2")]))
    (tmp_path / "talks" / "y.wav").write_bytes(b"3")
    (tmp_path / "list.csv").write_text("uri\ntalks/x.zip\ntalks/z.tar\ntalks/y.wav\nzip://a.wav::talks/w.zip\n")
    return tmp_path


def test_a_directory_stands_for_all_below_it_and_nothing_beside_it(folder: Path) -> None:
    test = looked_at([str(folder / "talks")])
    assert test(f"{folder}/talks/gone/deep.wav")
    assert test(f"zip://a.wav::tar://in.zip::{folder}/talks/gone.tar")
    assert not test(f"{folder}/talks2/gone.wav")
    assert not test(f"memory://{folder}/talks/gone.wav")


def test_a_glob_stands_for_what_it_matches_and_all_below_that(folder: Path) -> None:
    test = looked_at([f"{folder}/20[12]?-*/*.wav", f"{folder}/**/raw/*", f"{folder}/all/**"])
    assert test(f"{folder}/201x-may/gone.wav")
    assert not test(f"{folder}/203x-may/gone.wav")
    assert not test(f"{folder}/201x-may/gone.mp3")
    assert not test(f"{folder}/201x-may/deep/gone.wav")
    assert test(f"{folder}/raw/gone.mp3")
    assert test(f"{folder}/a/b/raw/gone/deep.wav")
    assert not test(f"{folder}/a/b/gone.wav")
    assert test(f"{folder}/all/gone.wav")
    assert test(f"zip://m.wav::{folder}/all/gone.zip")


def test_an_archive_stands_for_its_members_and_a_member_for_what_is_in_it(folder: Path) -> None:
    home = folder / "talks" / "x.zip"
    test = looked_at([str(home)])
    assert test(f"zip://gone.wav::{home}")
    assert not test(f"{folder}/talks/y.wav")
    test = looked_at([f"zip://in.tar::{home}"])
    assert test(f"tar://gone.wav::zip://in.tar::{home}")
    assert not test(f"zip://gone.wav::{home}")


@pytest.mark.parametrize("pattern", ["list.csv", "*.csv"])
def test_a_manifest_stands_for_the_members_of_the_archives_that_it_names(folder: Path, pattern: str) -> None:
    test = looked_at([str(folder / pattern)])
    assert test(f"zip://gone.wav::{folder}/talks/x.zip")
    assert test(f"tar://gone.wav::tar://in.tar::{folder}/talks/z.tar")
    assert not test(f"zip://b.wav::{folder}/talks/w.zip")
    assert not test(f"{folder}/talks/other.wav")


def test_a_bucket_stands_for_its_keys() -> None:
    fsspec.filesystem("memory").pipe({"/shelf/one/a.wav": b"1"})
    test = looked_at(["memory://shelf/one"])
    assert test("memory:///shelf/one/gone.wav")
    assert not test("memory:///shelf/two/gone.wav")
    assert looked_at(["memory://shelf/*/a.*"])("memory:///shelf/gone/a.wav")
