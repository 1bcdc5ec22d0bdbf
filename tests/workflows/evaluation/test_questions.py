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
    pool = exemplar_pool(listed, tmp_path, tmp_path / "more")
    assert {label: [each.path for each in sounds] for label, sounds in pool.items()} == {
        "dog": [tmp_path / "more" / "dog" / "d.flac"]
    }
    (tmp_path / "ours.csv").write_text("label,path\ndog,a1.wav\ndog,a2.wav\nbell,b1.wav\n")
    assert {label: len(paths) for label, paths in exemplar_pool(listed, tmp_path, tmp_path / "ours.csv").items()} == {
        "dog": 2,
        "bell": 1,
    }
    (tmp_path / "clapsep.csv").write_text("class,file\nthe sound of dog,\"['a1.wav', 'a2.wav']\"\n")
    pool = exemplar_pool(listed, tmp_path, tmp_path / "clapsep.csv")
    assert [each.path for each in pool["the sound of dog"]] == [tmp_path / "a1.wav", tmp_path / "a2.wav"]


def of_audiosep(root: Path, rows: str, header: str = "idx,caption,src_wav,noise_wav", ready: int = 0) -> MixtureList:
    """A list of AudioSep; the first mixtures, so many, are ready-made."""
    for name in [*"abcd", *(f"{kind}-{at}" for at in range(ready) for kind in ("segment", "mixture"))]:
        (root / f"{name}.wav").touch()
    (root / "sep.csv").write_text(f"{header}\n{rows}")
    return read_list(root / "sep.csv", root)


def test_a_clip_under_many_names_is_never_asked_with_for_itself(tmp_path: Path) -> None:
    rows = "0,dog,a.wav,b.wav\n1,dog,a.wav,c.wav\n2,dog,d.wav,a.wav\n"
    found = of_audiosep(tmp_path, rows, ready=3)
    with pytest.raises(ListError, match="line 4: no other recording of 'dog'"):  # d, and in the mixture a
        asked(found, Asking("audio"))
    first, second = asked(found, Asking("audio"), limit=2)
    assert first.sound == second.sound == tmp_path / "segment-2.wav"
    assert [sound.path.name for sound in exemplar_pool(found, tmp_path, None)["dog"]] == [
        "segment-0.wav",
        "segment-2.wav",
    ]


def test_a_pair_of_vggsound_is_copies_of_the_two_recordings_that_its_id_names(tmp_path: Path) -> None:
    pairs = ("x+++y", "x+++z", "w+++x")
    rows = [f"{pair},m/{pair}.wav,s0/{pair}.wav,tuba,s1/{pair}.wav,sea {at}" for at, pair in enumerate(pairs)]
    for pair in pairs:
        for folder in ("m", "s0"):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{pair}.wav").touch()
    (tmp_path / "vgg.csv").write_text("file_id,mix_wav,s0_wav,s0_text,s1_wav,s1_text\n" + "\n".join(rows) + "\n")
    found = read_list(tmp_path / "vgg.csv", tmp_path)
    assert asked(found, Asking("audio"), limit=1)[0].sound == tmp_path / "s0" / "w+++x.wav"
    with pytest.raises(ListError, match="line 4: no other recording of 'tuba'"):
        asked(found, Asking("audio"))


def test_the_class_of_a_noise_is_looked_up_where_its_recording_is_a_target(tmp_path: Path) -> None:
    rows = "0,dog,a.wav,b.wav\n1,bell,b.wav,c.wav\n2,rain,c.wav,a.wav\n"
    assert [each.absent for each in asked(of_audiosep(tmp_path, rows), Asking(absent=True))] == ["rain", "dog", "bell"]


def test_of_a_noise_that_nobody_tells_nothing_is_said_to_be_absent(tmp_path: Path) -> None:
    found = of_audiosep(tmp_path, "0,dog,a.wav,b.wav\n1,bell,b.wav,d.wav\n2,rain,c.wav,a.wav\n")
    with pytest.raises(ListError, match=r"one problem.*\n.*line 3: the list tells no class of the noise"):
        asked(found, Asking(absent=True))


def test_labels_of_several_classes_are_there_with_every_word(tmp_path: Path) -> None:
    header = "idx,caption,labels,src_wav,noise_wav"
    rows = (
        '0,a bang,"Explosion Burst, pop",a.wav,b.wav\n1,talk,Speech,b.wav,a.wav\n'
        '2,a balloon,"Burst, pop Laughter",c.wav,b.wav\n3,a flute plays,Flute,d.wav,b.wav\n'
    )
    first = asked(of_audiosep(tmp_path, rows, header), Asking(absent=True), limit=1)[0]
    assert first.absent == "a flute plays"


def test_what_is_absent_is_the_same_however_else_is_asked(tmp_path: Path, listed: MixtureList) -> None:
    kinds = [Asking(kind, absent=True) for kind in ("text", "audio", "both")]
    assert len({tuple(each.absent for each in asked(listed, asking)) for asking in kinds}) == 1


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
    with pytest.raises(ListError, match="line 2: every class of the list may be in this mixture"):
        asked(read_list(tmp_path / "one.csv", tmp_path), Asking(absent=True))
