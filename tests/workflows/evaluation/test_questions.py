"""What a mixture is asked: words, recordings of the same class that are none of its own, words for what is absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from workflows.evaluation.lists import read_list
from workflows.evaluation.mixtures import ListError, MixtureList
from workflows.evaluation.questions import Asking, Question, exemplar_pool, questions_of

HEADER = "target_path,noise_path,snr_db,caption,negative_caption,target_label,noise_label\n"
ROWS = (
    "a1.wav,b1.wav,0,a dog barks,a bell rings,dog,bell\n"
    "a2.wav,b2.wav,0,barking,ringing,dog,bell\n"
    "b1.wav,c1.wav,0,a bell rings,rain falls,bell,rain\n"
    "b3.wav,a1.wav,0,a bell,a dog barks,bell,dog\n"
)


@pytest.fixture
def listed(tmp_path: Path) -> MixtureList:
    for name in ("a1", "a2", "b1", "b2", "b3", "c1"):
        (tmp_path / f"{name}.wav").touch()
    (tmp_path / "list.csv").write_text(HEADER + ROWS)
    return read_list(tmp_path / "list.csv", tmp_path)


def asked(listed: MixtureList, asking: Asking, limit: int | None = None) -> list[Question]:
    return questions_of(listed, listed.path.parent, asking, limit)


def test_words_alone_are_the_caption_and_the_negative_one_if_wished(listed: MixtureList) -> None:
    plain, negative = asked(listed, Asking())[0], asked(listed, Asking(negative=True))[0]
    assert (plain.text, plain.negative_text, plain.sound) == ("a dog barks", None, None)
    assert (negative.text, negative.negative_text) == ("a dog barks", "a bell rings")


def test_a_recording_is_another_target_of_the_class(listed: MixtureList) -> None:
    first, second, third, _ = asked(listed, Asking("audio"))
    assert (first.text, first.sound) == (None, listed.path.with_name("a2.wav"))
    assert second.sound == listed.path.with_name("a1.wav")
    assert third.sound == listed.path.with_name("b3.wav")
    both = asked(listed, Asking("both"))[0]
    assert (both.text, both.sound) == ("a dog barks", first.sound)


def test_with_recordings_what_is_not_wanted_is_a_recording_too(listed: MixtureList) -> None:
    first = asked(listed, Asking("audio", negative=True), limit=2)[0]
    assert first.negative_text is None
    assert first.negative_sound == listed.path.with_name("b3.wav")  # b1 is in the mixture itself


def test_rows_without_another_recording_are_told_with_what_to_do(listed: MixtureList) -> None:
    with pytest.raises(ListError, match=r"one problem.*\n.*line 4: no other recording of 'rain' \(the noise\)") as told:
        asked(listed, Asking("audio", negative=True))
    assert "--exemplars" in str(told.value)
    assert len(asked(listed, Asking("audio", negative=True), limit=2)) == 2  # rows that are not asked do not matter


def test_recordings_come_from_a_folder_of_classes_or_from_a_csv(listed: MixtureList, tmp_path: Path) -> None:
    (tmp_path / "more" / "dog").mkdir(parents=True)
    (tmp_path / "more" / "dog" / "d.flac").touch()
    (tmp_path / "more" / "dog" / "notes.txt").touch()
    assert exemplar_pool(listed, tmp_path, tmp_path / "more") == {"dog": [tmp_path / "more" / "dog" / "d.flac"]}
    (tmp_path / "ours.csv").write_text("label,path\ndog,a1.wav\ndog,a2.wav\nbell,b1.wav\n")
    assert {label: len(paths) for label, paths in exemplar_pool(listed, tmp_path, tmp_path / "ours.csv").items()} == {
        "dog": 2,
        "bell": 1,
    }
    (tmp_path / "clapsep.csv").write_text("class,file\nthe sound of dog,\"['a1.wav', 'a2.wav']\"\n")
    pool = exemplar_pool(listed, tmp_path, tmp_path / "clapsep.csv")
    assert pool == {"the sound of dog": [tmp_path / "a1.wav", tmp_path / "a2.wav"]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("label,path\ndog,gone.wav\n", "line 2, path: no file"),
        ("name,sound\ndog,a1.wav\n", "it needs label and path, or class and file"),
        (None, "neither a folder nor a CSV"),
    ],
)
def test_recordings_that_are_not_there_are_told(
    listed: MixtureList, tmp_path: Path, content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "ours.csv").write_text(content)
    with pytest.raises(ListError, match=said):
        exemplar_pool(listed, tmp_path, tmp_path / "ours.csv")


def test_what_is_absent_is_of_no_class_in_the_mixture_and_the_same_every_time(listed: MixtureList) -> None:
    whole = [question.absent for question in asked(listed, Asking(absent=True))]
    assert whole[0] == whole[1] == "rain falls"
    assert whole[2] == "a dog barks"
    assert whole[3] == "rain falls"
    assert [question.absent for question in asked(listed, Asking(absent=True), limit=2)] == whole[:2]


def test_a_list_of_one_mixture_has_nothing_absent(tmp_path: Path, listed: MixtureList) -> None:
    (tmp_path / "one.csv").write_text(HEADER + ROWS.splitlines()[0] + "\n")
    with pytest.raises(ListError, match="line 2: every class of the list is in this mixture"):
        asked(read_list(tmp_path / "one.csv", tmp_path), Asking(absent=True))
