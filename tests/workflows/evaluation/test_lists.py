"""Every kind of list is known by its columns, mixed by its own rule, and checked to the last row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from workflows.evaluation.audiosep_list import AUDIOSEP_READY, AUDIOSEP_RULE
from workflows.evaluation.formats import CLAPSEP_RULE, DCASE_RULE, FORMATS
from workflows.evaluation.lists import check_labels, read_list
from workflows.evaluation.mixtures import ListError, MixtureList
from workflows.evaluation.scores import about


def listed(root: Path, text: str, files: Sequence[str], name: str = "list.csv") -> MixtureList:
    """The list of that text, with empty files of those names below `root`."""
    for each in files:
        (root / each).parent.mkdir(parents=True, exist_ok=True)
        (root / each).touch()
    (root / name).write_text(text, encoding="utf-8")
    return read_list(root / name, root)


def test_our_own_list_has_its_labels_captions_and_ratio(tmp_path: Path) -> None:
    text = "target_path,noise_path,snr_db,caption,negative_caption,target_label\na.wav,b.wav,-3.5,a bell,rain,bell\n"
    found = listed(tmp_path, text, ["a.wav", "b.wav"])
    (mixture,) = found.mixtures
    assert (found.format, found.aggregation) == ("soundquarry", "mean")
    assert (mixture.row, mixture.line, mixture.snr_db) == (0, 2, -3.5)
    assert (mixture.caption, mixture.negative_caption, mixture.label, mixture.noise_label) == (
        "a bell", "rain", "bell", "",
    )  # fmt: skip
    assert [sound.path.name for sound in mixture.sounds] == ["a.wav", "b.wav"]


def test_clapsep_is_mixed_at_0_db_and_a_caption_of_several_files_is_a_class(tmp_path: Path) -> None:
    text = (
        "source_file,positive_caption,noise_file,negative_caption\n"
        "a.wav,the sound of dog,c.wav,the sound of rain\n"
        'b.wav,the sound of dog,c.wav,"rain, then thunder"\n'
        "c.wav,one long sentence,a.wav,the sound of dog\n"
    )
    found = listed(tmp_path, text, ["a.wav", "b.wav", "c.wav"])
    assert (found.format, found.published) == ("CLAPSep", ("bss_sdri_db", "si_sdri_db"))
    assert {(mixture.rule, mixture.snr_db) for mixture in found.mixtures} == {(CLAPSEP_RULE, 0.0)}
    assert [mixture.label for mixture in found.mixtures] == ["the sound of dog", "the sound of dog", ""]
    assert found.mixtures[1].negative_caption == "rain, then thunder"
    assert found.mixtures[2].noise_label == "the sound of dog"


@pytest.mark.parametrize(
    ("header", "row", "labels"),
    [
        ("idx,caption,labels,src_wav,noise_wav", "0,a man speaks,Speech,a.wav,b.wav", "Speech"),
        ("idx,caption,src_wav,noise_wav", "0,dog,a.wav,b.wav", "dog"),
        ("idx,caption,src_wav,noise_wav1,noise_wav1", "0,a machine whines,a.wav,b.wav,c.wav", ""),
    ],
)
def test_audiosep_is_ready_made_where_its_files_are_and_mixed_where_not(
    tmp_path: Path, header: str, row: str, labels: str
) -> None:
    raw = listed(tmp_path, f"{header}\n{row}\n", ["a.wav", "b.wav", "c.wav"]).mixtures[0]
    assert (raw.rule, raw.label) == (AUDIOSEP_RULE, labels)
    assert [sound.path.name for sound in raw.noises] == ["b.wav", "c.wav"][: header.count("noise")]
    ready = listed(tmp_path, f"{header}\n{row}\n", ["segment-0.wav", "mixture-0.wav"]).mixtures[0]
    assert ready.rule == AUDIOSEP_READY
    assert [sound.path.name for sound in ready.sounds] == ["segment-0.wav", "mixture-0.wav"]


def test_ready_made_files_have_to_be_there_for_all_rows(tmp_path: Path) -> None:
    text = "idx,caption,src_wav,noise_wav\n0,dog,a.wav,b.wav\n1,cat,b.wav,a.wav\n"
    with pytest.raises(ListError, match=r"2 problems.*\n.*line 3, idx: no file .*segment-1.wav.*\n.*mixture-1.wav"):
        listed(tmp_path, text, ["a.wav", "b.wav", "segment-0.wav", "mixture-0.wav"])


def test_audioset_names_its_mixture_where_others_name_the_noise_and_counts_medians(tmp_path: Path) -> None:
    place = "evaluation/data/audioset/class_id=0/class_id=0,index=000"
    text = f'idx,caption,src_wav,noise_wav\n0,Speech,"{place},source.wav","{place},mixture.wav"\n'
    below = "class_id=0/class_id=0,index=000"
    found = listed(tmp_path, text, [f"{below},source.wav", f"{below},mixture.wav"])
    assert found.aggregation == "class_medians"
    assert [sound.path for sound in found.mixtures[0].sounds] == [
        tmp_path / f"{below},source.wav",
        tmp_path / f"{below},mixture.wav",
    ]


def test_music_of_audiosep_counts_class_means(tmp_path: Path) -> None:
    text = "idx,caption,src_wav,noise_wav\n0,tuba,a.wav,b.wav\n"
    assert listed(tmp_path, text, ["a.wav", "b.wav"], "music_eval.csv").aggregation == "class_means"
    assert listed(tmp_path, text, [], "esc50_eval.csv").aggregation == "mean"


def test_vggsound_of_audiosep_names_all_three_files(tmp_path: Path) -> None:
    text = "file_id,mix_wav,s0_wav,s0_text,s1_wav,s1_text\nx,m/x.wav,s0/x.wav,tuba,s1/x.wav,sea\n"
    (mixture,) = listed(tmp_path, text, ["m/x.wav", "s0/x.wav"]).mixtures
    assert [sound.column for sound in mixture.sounds] == ["s0_wav", "mix_wav"]
    assert (mixture.caption, mixture.negative_caption) == ("tuba", "sea")


@pytest.mark.parametrize("column", ["caption", "query"])
def test_dcase_names_files_without_their_ending_and_a_ratio(tmp_path: Path, column: str) -> None:
    found = listed(tmp_path, f"source,noise,snr,{column}\na,b,-12,a bell\n", ["a.wav", "b.wav"])
    assert (found.mixtures[0].rule, found.mixtures[0].snr_db) == (DCASE_RULE, -12.0)


def test_a_pair_of_bimodal_is_asked_for_both_its_sounds(tmp_path: Path) -> None:
    found = listed(tmp_path, "/tuba/x.wav,/acoustic_guitar/y.wav\n", ["tuba/x.wav", "acoustic_guitar/y.wav"])
    assert [(m.row, m.line, m.label, m.noise_label, m.caption) for m in found.mixtures] == [
        (0, 1, "tuba", "acoustic_guitar", "The sound of tuba"),
        (1, 1, "acoustic_guitar", "tuba", "The sound of acoustic guitar"),
    ]
    assert found.published == ("bss_sdr_db", "sir_db", "sar_db")


def test_what_pairs_of_bimodal_sound_like_is_read_beside_the_list(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("x.wav,playing tuba, loud\ny.wav,sea\n/tuba/long.wav,/tuba/long.mp4,61\n")
    vggsound = listed(tmp_path, "x.wav,y.wav\n", ["x.wav", "y.wav"]).mixtures
    assert [(m.label, m.target.centre_seconds) for m in vggsound] == [("playing tuba, loud", 4.5), ("sea", 4.5)]
    music = listed(tmp_path, "/tuba/long.wav,x.wav\n", ["tuba/long.wav"], "music.csv").mixtures[0]
    assert (music.label, music.target.centre_seconds) == ("tuba", 30.5)
    (tmp_path / "test.csv").write_text('audiocap_id,youtube_id,start_time,caption\n7,abc,30,"a man, then a dog"\n')
    (tmp_path / "val.csv").write_text("audiocap_id,youtube_id,start_time,caption\n9,def,0,rain\n")
    captions = listed(tmp_path, "7,9\n", ["abc_30.wav", "def_0.wav"]).mixtures
    assert [(m.caption, m.label, m.rule.repeats) for m in captions] == [
        ("a man, then a dog", "", False),
        ("rain", "", False),
    ]


def test_a_pair_that_nothing_is_known_of_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(
        ListError, match=r"line 1: first sound: nothing says what 'x.wav' sounds like; put the test.csv"
    ):
        listed(tmp_path, "x.wav,y.wav\n", ["x.wav", "y.wav"])


def test_unknown_columns_are_told_with_what_every_kind_needs(tmp_path: Path) -> None:
    with pytest.raises(ListError, match="has the columns target_path, words, and is no list that is known") as caught:
        listed(tmp_path, "target_path,words\na.wav,b\n", [])
    for known in FORMATS:
        assert f"{known.name}: {', '.join(known.needs)}" in str(caught.value)


def test_the_first_problems_are_told_and_the_others_counted(tmp_path: Path) -> None:
    rows = ["a.wav,gone.wav,0,a bell", "a.wav,a.wav,loud,a bell", "a.wav,a.wav,0,", "a.wav,a.wav"] + [
        "b.wav,a.wav,0,x"
    ] * 9
    with pytest.raises(ListError) as caught:
        listed(tmp_path, "target_path,noise_path,snr_db,caption\n" + "\n".join(rows) + "\n", ["a.wav"])
    said = str(caught.value)
    assert "13 problems, nothing was separated" in said
    assert f"line 2, noise_path: no file {tmp_path / 'gone.wav'}" in said
    assert "line 3: snr_db is 'loud', expected a number" in said
    assert "line 4: caption is empty" in said
    assert "line 5: 2 fields, expected 4" in said
    assert said.endswith("and 3 more")


@pytest.mark.parametrize(("text", "said"), [("", "no rows"), ("target_path,noise_path,snr_db,caption\n", "no rows")])
def test_a_list_without_rows_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ListError, match=said):
        listed(tmp_path, text, [])


def test_labels_have_no_spaces_around_them_and_targets_are_told_as_the_list_has_them(tmp_path: Path) -> None:
    text = "target_path,noise_path,snr_db,caption,target_label\nin/a.wav,b.wav,0,a bell,bell \n"
    (mixture,) = listed(tmp_path, text, ["in/a.wav", "b.wav"]).mixtures
    assert (mixture.label, mixture.target.text, about(mixture)["target"]) == ("bell", "in/a.wav", "in/a.wav")


def test_only_clapsep_is_asked_with_negatives_by_its_authors() -> None:
    assert [known.name for known in FORMATS if known.asked_with_negative] == ["CLAPSep"]


def test_what_is_no_utf_8_is_told_of_the_list_and_of_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_bytes("x.wav,caf\xe9\n".encode("latin-1"))
    with pytest.raises(ListError, match=r"test\.csv is no UTF-8 text"):
        listed(tmp_path, "x.wav,y.wav\n", ["x.wav", "y.wav"])
    (tmp_path / "latin.csv").write_bytes("caf\xe9.wav,y.wav\n".encode("latin-1"))
    with pytest.raises(ListError, match=r"latin\.csv is no UTF-8 text"):
        read_list(tmp_path / "latin.csv", tmp_path)


def test_labels_that_no_target_has_are_refused_with_those_there_are(tmp_path: Path) -> None:
    text = "target_path,noise_path,snr_db,caption,target_label\na.wav,b.wav,0,a bell,church bell\n"
    found = listed(tmp_path, text, ["a.wav", "b.wav"])
    check_labels(frozenset({"church bell", "dog"}), found)
    with pytest.raises(ListError, match=r"--unseen names 'bell', 'church', .* its classes are church bell; one label"):
        check_labels(frozenset({"church", "bell"}), found)


def test_a_root_that_is_no_folder_is_one_problem_not_one_a_row(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("target_path,noise_path,snr_db,caption\na.wav,b.wav,0,a bell\n")
    with pytest.raises(ListError, match=r"--root .*nowhere is no folder; give the one that the list's paths begin in"):
        read_list(tmp_path / "list.csv", tmp_path / "nowhere")
