"""Paths of this machine are made absolute and told of; URLs are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from workflows.jobs.local_paths import is_path, with_absolute_paths, words_about_paths


def test_paths_are_written_from_the_root_on_and_urls_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.safetensors").touch()
    options = {"sources": ["talks/*.wav", "s3://a/b"], "out": "o", "model": "my.safetensors", "threshold": 0.4}
    assert with_absolute_paths(options) == {
        "sources": [f"{tmp_path}/talks/*.wav", "s3://a/b"],
        "out": f"{tmp_path}/o",
        "model": f"{tmp_path}/my.safetensors",
        "threshold": 0.4,
    }
    assert options["out"] == "o"
    assert with_absolute_paths({"model": "mini"}) == {"model": "mini"}


def test_sounds_that_are_synthesised_are_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"data": ["synthesis", "clips"], "validation": ["synthesis"], "sources": ["synthesis"]}
    assert with_absolute_paths(options) == {
        "data": ["synthesis", f"{tmp_path}/clips"],
        "validation": ["synthesis"],
        "sources": [f"{tmp_path}/synthesis"],
    }
    assert words_about_paths({"data": ["synthesis"], "validation": ["s3://b/c"]}) == []
    (said,) = words_about_paths({"data": ["synthesis", "/clips"]})
    assert said.startswith("data: /clips is a path of this machine")


def test_of_a_member_the_file_that_holds_it_all_is_written_from_the_root_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {
        "zip://a.wav::talks.zip": f"zip://a.wav::{tmp_path}/talks.zip",
        "tar://a.wav::zip://in.tar::file://talks.zip": f"tar://a.wav::zip://in.tar::file://{tmp_path}/talks.zip",
        "file://talks": f"file://{tmp_path}/talks",
        "zip://a.wav::/x::y/talks.zip": "zip://a.wav::/x::y/talks.zip",
        "zip://a.wav::s3://b/talks.zip": "zip://a.wav::s3://b/talks.zip",
    }
    assert with_absolute_paths({"sources": list(given)})["sources"] == list(given.values())


@pytest.mark.parametrize("out", ["s3://b/o", "s3://b/o/", "s3://b/o//"])
def test_a_slash_at_the_end_of_out_makes_no_other_place(out: str) -> None:
    assert with_absolute_paths({"out": out}) == {"out": "s3://b/o"}
    assert with_absolute_paths({"out": "s3://"}) == {"out": "s3://"}


def test_what_can_only_be_a_path_is_not_told_to_be_a_url() -> None:
    (said,) = words_about_paths({"root": "/mixtures"}, only_paths=("root",))
    assert said.endswith("sees it under this name")
    (said,) = words_about_paths({"model": "/models/mine.safetensors"})
    assert said.startswith("model: /models/mine.safetensors is a path of this machine")
    assert "s3://" not in said


def test_every_option_with_a_path_is_told_of_once() -> None:
    said = words_about_paths({"sources": ["/a.wav", "s3://b/c", "/d.wav"], "out": "/o", "model": "mini"})
    assert len(said) == 2
    assert said[0].startswith("sources: /a.wav and 1 more is a path of this machine, not sent along")
    assert "every node of the cluster can write it" in said[1]
    assert words_about_paths({"sources": ["s3://b/c"], "out": "s3://b/o"}) == []


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("a.wav", True),
        ("/a::b.wav", True),
        ("file:///a.wav", True),
        ("zip://a.wav::/b.zip", True),
        ("zip://a.wav::s3://b/c.zip", False),
        ("s3://b/c.wav", False),
    ],
)
def test_a_path_is_told_from_a_url_by_the_outermost_file(uri: str, path: bool) -> None:
    assert is_path(uri) is path


def test_what_lies_in_a_folder_that_the_job_will_have_needs_no_words() -> None:
    options = {"sources": ["/archive/talks", "zip://a.wav::/archive/b.zip"], "out": "/archives"}
    (said,) = words_about_paths(options, mounted=("/archive",))
    assert said.startswith("out: /archives is a path of this machine")
    assert words_about_paths({"out": "/archive"}, mounted=("/archive",)) == []
