"""Which clips there are: folders, tables, words for labels, and what must not be trained on."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.manifest_rows import ManifestError
from workflows.training.clip_list import ClipRow, ClipRules, TrainingDataError, list_clips

ALL = ClipRules()
ROWS = [
    {"path": "audio/a.wav", "label": "dog", "caption": "a dog barks", "licence": "CC-BY"},
    {"path": "audio/b.wav", "label": "rain", "caption": "", "licence": "CC-BY-NC"},
]


def csv_of(path: Path, rows: list[dict[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def touched(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def names(rows: list[ClipRow]) -> list[str]:
    return [row.uri.rpartition("/")[2] for row in rows]


def test_a_folder_with_manifests_is_what_they_say_and_paths_are_its_own(tmp_path: Path) -> None:
    csv_of(tmp_path / "manifests" / "train.csv", ROWS)
    csv_of(tmp_path / "manifests" / "more.csv", [{"path": "audio/c.wav", "label": "wind"}])
    touched(tmp_path / "audio" / "unlisted.wav")
    found = list_clips([str(tmp_path)], ALL)
    assert {(row.label, row.caption) for row in found.rows} == {("dog", ""), ("rain", ""), ("wind", "")}
    assert {Path(row.uri) for row in found.rows} == {tmp_path / "audio" / f"{name}.wav" for name in "abc"}
    assert found.wordings == {"dog": ["a dog barks"]}
    assert not found.made


def test_clips_of_development_are_never_read(tmp_path: Path) -> None:
    csv_of(tmp_path / "manifests" / "train.csv", ROWS)
    (tmp_path / "manifests" / "dev.csv").write_bytes(b"\xff not even a table")
    assert names(list_clips([str(tmp_path)], ALL).rows) == ["a.wav", "b.wav"]


def test_a_plain_folder_is_every_sound_in_it_without_words(tmp_path: Path) -> None:
    touched(tmp_path / "one.wav", tmp_path / "deep" / "two.mp3", tmp_path / "notes.txt")
    found = list_clips([str(tmp_path)], ALL)
    assert sorted(names(found.rows)) == ["one.wav", "two.mp3"]
    assert all(row.label == row.uri and row.caption == "" for row in found.rows)
    assert found.wordings == {}


def test_a_table_may_be_csv_jsonl_or_parquet(tmp_path: Path) -> None:
    tables = [csv_of(tmp_path / "t.csv", ROWS), tmp_path / "t.jsonl", tmp_path / "t.parquet"]
    tables[1].write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    pq.write_table(pa.Table.from_pylist(ROWS), tables[2])
    listed = [list_clips([str(table)], ALL) for table in tables]
    assert listed[0].rows == listed[1].rows == listed[2].rows
    assert [Path(row.uri) for row in listed[0].rows] == [tmp_path / row["path"] for row in ROWS]
    assert [row.label for row in listed[0].rows] == ["dog", "rain"]


def test_whole_paths_and_urls_in_a_table_stay_as_they_are(tmp_path: Path) -> None:
    rows = [{"path": "/elsewhere/a.wav", "label": "a"}, {"path": "s3://bucket/b.wav", "label": "b"}]
    found = list_clips([str(csv_of(tmp_path / "t.csv", rows))], ALL)
    assert [row.uri for row in found.rows] == ["/elsewhere/a.wav", "s3://bucket/b.wav"]


def test_a_clip_without_a_label_is_called_by_its_caption_or_by_its_path(tmp_path: Path) -> None:
    rows = [{"path": "a.wav", "caption": "a dog"}, {"path": "b.wav", "caption": ""}]
    found = list_clips([str(csv_of(tmp_path / "t.csv", rows))], ALL)
    assert [row.label for row in found.rows] == ["a dog", "b.wav"]


def test_synthesised_sounds_need_no_files_and_go_with_others(tmp_path: Path) -> None:
    alone = list_clips(["synthesis"], ALL)
    assert (alone.made, alone.rows) == (["synthesis"], [])
    both = list_clips(["synthesis", str(csv_of(tmp_path / "t.csv", ROWS))], ALL)
    assert (both.made, len(both.rows)) == (["synthesis"], 2)


def test_held_out_labels_and_unwanted_licences_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [*ROWS, {"path": "c.wav", "label": "dog", "caption": "woof", "licence": "NC"}]
    table = str(csv_of(tmp_path / "t.csv", rows))
    without = list_clips([table], ClipRules(unwanted_licences=frozenset({"NC"})))
    assert names(without.rows) == ["a.wav"]
    assert without.left_out == {"licence": 2}
    held = list_clips([table], ClipRules(frozenset({"dog"})))
    assert names(held.rows) == ["b.wav"]
    assert held.left_out == {"held-out label": 2}
    assert held.wordings == {}
    with pytest.raises(TrainingDataError, match=r"\(1 for their held-out label, 2 for their licence\)"):
        list_clips([table], ClipRules(frozenset({"dog"}), frozenset({"NC"})))


def test_a_licence_is_unwanted_for_a_whole_word_of_it(tmp_path: Path) -> None:
    rows = [{"path": "a.wav", "licence": "CC-BY-NC-4.0"}, {"path": "b.wav", "licence": "BOUNCY"}]
    found = list_clips([str(csv_of(tmp_path / "t.csv", rows))], ClipRules(unwanted_licences=frozenset({"NC"})))
    assert names(found.rows) == ["b.wav"]


def test_a_licence_is_read_in_any_case_spelling_and_address_and_must_be_there(tmp_path: Path) -> None:
    rows = [
        {"path": "a.wav", "license": "cc-by-nc"},
        {"path": "b.wav", "license": "https://creativecommons.org/licenses/by-nc/4.0/"},
        {"path": "c.wav", "license": "CC0"},
        {"path": "d.wav", "license": ""},
    ]
    found = list_clips([str(csv_of(tmp_path / "t.csv", rows))], ClipRules(unwanted_licences=frozenset({"NC"})))
    assert names(found.rows) == ["c.wav"]
    assert found.left_out == {"licence": 2, "unknown licence": 1}


def test_words_of_a_folders_captions_file_are_added_to_its_labels(tmp_path: Path) -> None:
    csv_of(tmp_path / "manifests" / "train.csv", ROWS)
    words = {
        "dog": {"caption": "a dog", "paraphrases": ["woof"]},
        "rain": {"caption": "rain", "paraphrases": []},
    }
    (tmp_path / "captions.json").write_text(json.dumps(words))
    assert list_clips([str(tmp_path)], ALL).wordings == {"dog": ["a dog", "woof", "a dog barks"], "rain": ["rain"]}
    assert list_clips([str(tmp_path)], ClipRules(frozenset({"dog"}))).wordings == {"rain": ["rain"]}


def test_a_captions_file_of_another_make_is_named(tmp_path: Path) -> None:
    csv_of(tmp_path / "manifests" / "train.csv", ROWS)
    (tmp_path / "captions.json").write_text(json.dumps({"dog": "a dog"}))
    with pytest.raises(TrainingDataError, match=r"captions\.json, dog: expected caption and paraphrases, got 'a dog'"):
        list_clips([str(tmp_path)], ALL)


def test_a_table_without_the_column_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"t\.csv: no column 'path' \(found: file\)"):
        list_clips([str(csv_of(tmp_path / "t.csv", [{"file": "a.wav"}]))], ALL)
    (tmp_path / "t.jsonl").write_text('{"file": "a.wav"}\n')
    with pytest.raises(TrainingDataError, match=r"t\.jsonl, line 1: no path; .* has the column path, this one file"):
        list_clips([str(tmp_path / "t.jsonl")], ALL)


@pytest.mark.parametrize("name", ["nowhere", "sound.wav"])
def test_what_is_neither_folder_nor_table_is_named(tmp_path: Path, name: str) -> None:
    touched(tmp_path / "sound.wav")
    with pytest.raises(TrainingDataError, match=r"no data at .*: give a folder, a table .*, or one of synthesis"):
        list_clips([str(tmp_path / name)], ALL)


def test_an_empty_folder_is_said_to_hold_nothing(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"no clip to train on in .*none was found"):
        list_clips([str(tmp_path)], ALL)
