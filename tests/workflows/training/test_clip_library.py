"""Clips in memory: at the network's rate, one channel, and nothing left out without a word."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_media import encode
from tools import needs_program

from model.synthesis import SYNTHESIS_CAPTIONS
from model.training.clips import Clip, ClipLibrary, content_position
from model.training.wordings import FURTHER_WORDINGS
from workflows.training.clip_library import (
    LONGEST_SECONDS,
    MAKERS,
    Gathered,
    digest_of,
    gather,
    refuse_shared,
    split_off,
)
from workflows.training.clip_list import ClipRules, TrainingDataError

RATE = 8000
ALL = ClipRules()
ONLY_A_DOG = ClipRules(frozenset(SYNTHESIS_CAPTIONS) - {"dog"})


def tone(hertz: float, seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def gathered(folder: Path, rules: ClipRules = ALL) -> Gathered:
    return gather([str(folder)], rules, RATE)


def only_sound(folder: Path) -> np.ndarray:
    (clip,) = gathered(folder).library.clips
    return clip.audio


def strongest_hertz(sound: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(sound)))) * RATE / len(sound)


def noises(counts: Sequence[int]) -> ClipLibrary:
    random = np.random.default_rng(0)
    clips = [
        Clip(f"label {label}", random.integers(-99, 99, 200).astype(np.int16))
        for label, count in enumerate(counts)
        for _ in range(count)
    ]
    return ClipLibrary(clips, {}, {}, captioned=False)


def test_a_recording_at_the_networks_rate_is_read_as_it_is(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(440), RATE, subtype="FLOAT")
    assert only_sound(tmp_path) == pytest.approx(tone(440), abs=1e-4)


@pytest.mark.parametrize("rate", [4000, 11_025, 16_000])
def test_other_rates_are_converted(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", tone(440, rate=rate), rate, subtype="FLOAT")
    sound = only_sound(tmp_path)
    assert len(sound) == pytest.approx(RATE / 2, abs=2)
    assert strongest_hertz(sound) == pytest.approx(440, abs=2)
    assert np.abs(sound[500:-500]).max() == pytest.approx(0.5, abs=0.02)


def test_channels_are_averaged(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([tone(440), np.zeros(RATE // 2)], 1), RATE, subtype="FLOAT")
    assert only_sound(tmp_path) == pytest.approx(tone(440) / 2, abs=1e-4)


def test_what_only_ffmpeg_can_read_is_read(tmp_path: Path) -> None:
    encode(tmp_path / "a.m4a", tone(440, seconds=1.0)[:, None], RATE)
    sound = only_sound(tmp_path)
    assert len(sound) == pytest.approx(RATE, abs=1100)  # a frame of the codec and more
    assert strongest_hertz(sound) == pytest.approx(440, abs=3)


def test_of_a_long_recording_the_beginning_is_kept(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(round((LONGEST_SECONDS + 5) * RATE)) + 0.1, RATE)
    assert len(only_sound(tmp_path)) == LONGEST_SECONDS * RATE


def test_a_recording_that_cannot_be_read_is_told_of_and_left_out(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "good.wav", tone(440), RATE)
    soundfile.write(tmp_path / "silent.wav", np.zeros(0), RATE)
    (tmp_path / "bad.mp3").write_bytes(b"this is no sound" * 50)
    found = gathered(tmp_path)
    assert [clip.label.rpartition("/")[2] for clip in found.library.clips] == ["good.wav"]
    told = {uri.rpartition("/")[2]: message for uri, message in found.unreadable}
    assert told.keys() == {"bad.mp3", "silent.wav"}
    assert told["silent.wav"] == "it holds no sound"
    assert told["bad.mp3"]


def test_a_recording_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "good.wav", tone(440), RATE)
    (tmp_path / "clips.csv").write_text("path,label\ngood.wav,good\ngone.wav,gone\n")
    found = gather([str(tmp_path / "clips.csv")], ALL, RATE)
    assert found.library.labels == ["good"]
    ((uri, message),) = found.unreadable
    assert uri.endswith("gone.wav")
    assert message.startswith("FileNotFoundError")


def test_where_none_can_be_read_the_first_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"this is no sound")
    with pytest.raises(TrainingDataError, match=r"none of 1 recordings can be trained on \(first: .*bad\.wav: "):
        gathered(tmp_path)


def test_progress_is_told_clip_by_clip(tmp_path: Path) -> None:
    for name in "abc":
        soundfile.write(tmp_path / f"{name}.wav", tone(440), RATE)
    told: list[tuple[int, int]] = []
    gather([str(tmp_path)], ALL, RATE, on_read=lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_synthesised_sounds_come_with_words_and_are_the_same_every_time() -> None:
    one, same = (gather(["synthesis"], ONLY_A_DOG, RATE, synthetic_per_label=2).library for _ in range(2))
    assert one.labels == ["dog"]
    assert all(np.array_equal(a.sound, b.sound) for a, b in zip(one.clips, same.clips, strict=True))
    assert not np.array_equal(one.clips[0].sound, one.clips[1].sound)
    assert len(one.clips[0].sound) == 5 * RATE
    assert set(one.wordings["dog"]) == {*SYNTHESIS_CAPTIONS["dog"], *FURTHER_WORDINGS["dog"]}


def test_no_held_out_label_is_synthesised_worded_or_in_a_group() -> None:
    held = frozenset(SYNTHESIS_CAPTIONS) - {"dog", "rain"}
    library = gather(["synthesis"], ClipRules(held), RATE, synthetic_per_label=1).library
    assert library.labels == ["dog", "rain"]
    assert not any(held & labels for labels, _ in library.groups.values())


def test_words_of_a_label_are_those_of_its_clips_and_our_own(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(440), RATE)
    (tmp_path / "clips.csv").write_text("path,label,caption\na.wav,rain,rain on a roof\na.wav,hum,\n")
    wordings = gather([str(tmp_path / "clips.csv")], ALL, RATE).library.wordings
    assert set(wordings["rain"]) == {"rain on a roof", *FURTHER_WORDINGS["rain"]}
    assert wordings["hum"] == []


def test_clips_to_validate_on_are_chosen_by_content_and_no_label_loses_all() -> None:
    library = noises([40, 40, 1, 1])
    training, validation = split_off(library, 0.3)
    assert {id(clip) for clip in training.clips}.isdisjoint({id(clip) for clip in validation.clips})
    assert len(training.clips) + len(validation.clips) == len(library.clips)
    assert training.labels == library.labels
    assert all(content_position(clip, "validation") < 0.3 for clip in validation.clips)
    assert 10 < len(validation.clips) < 40
    backwards = ClipLibrary(library.clips[::-1], {}, {}, captioned=False)
    again = split_off(backwards, 0.3)[1]
    assert {c.sound.tobytes() for c in again.clips} == {c.sound.tobytes() for c in validation.clips}


def test_too_few_labels_to_validate_on_are_told_with_their_numbers() -> None:
    with pytest.raises(TrainingDataError, match=r"of 2 clips of 2 labels, 30% for validation, .*--validation"):
        split_off(noises([1, 1]), 0.3)


def test_what_was_cut_from_one_recording_stays_on_one_side() -> None:
    clips = noises([60, 60]).clips
    grouped = [Clip(clip.label, clip.sound, group=f"{clip.label}{index // 4}") for index, clip in enumerate(clips)]
    training, validation = split_off(ClipLibrary(grouped, {}, {}, captioned=False), 0.3)
    assert {clip.group for clip in training.clips}.isdisjoint({clip.group for clip in validation.clips})
    assert 8 < len(validation.clips) < 72


def test_a_clip_on_both_sides_is_refused() -> None:
    library = noises([3, 3])
    refuse_shared(library.only(lambda clip: clip.label == "0"), library.only(lambda clip: clip.label == "1"))
    with pytest.raises(TrainingDataError, match="6 of 6 clips to validate on are clips to train on as well"):
        refuse_shared(library, library)


def test_the_digest_tells_other_sounds_labels_and_captions() -> None:
    one = noises([3, 3])
    relabelled = ClipLibrary([Clip("x", clip.sound) for clip in one.clips], {}, {}, captioned=False)
    worded = ClipLibrary([Clip(c.label, c.sound, "words") for c in one.clips], {}, {}, captioned=False)
    fewer = one.only(lambda clip: clip is not one.clips[0])
    assert digest_of(one) == digest_of(noises([3, 3]))
    assert len({digest_of(library) for library in (one, relabelled, worded, fewer)}) == 4


def test_silence_is_left_out_and_counted(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(440), RATE)
    soundfile.write(tmp_path / "b.wav", 1e-6 * tone(440), RATE)
    found = gathered(tmp_path)
    assert [Path(label).name for label in found.library.labels] == ["a.wav"]
    assert found.left_out == {"silence": 1}


def test_a_clip_keeps_its_own_caption_where_those_of_its_label_differ(tmp_path: Path) -> None:
    for name in "abc":
        soundfile.write(tmp_path / f"{name}.wav", tone(440 + ord(name)), RATE)
    (tmp_path / "t.csv").write_text("path,label,caption\na.wav,x,one\nb.wav,x,two\nc.wav,y,three\n")
    library = gather([str(tmp_path / "t.csv")], ALL, RATE).library
    assert [clip.caption for clip in library.clips] == ["one", "two", ""]
    assert library.wordings == {"x": [], "y": ["three"]}


def test_a_missing_program_is_told_before_anything_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(TrainingDataError, match="espeak-ng is not installed"):
        gather([str(tmp_path / "nowhere"), "speech"], ALL, RATE)


@needs_program("espeak-ng", "espeak-ng")
@needs_program("fluidsynth", "fluidsynth fluid-soundfont-gm")
def test_speech_and_instruments_are_made_with_their_words_and_held_out_labels_are_not() -> None:
    wanted = {"male_speech", "flute"}
    labels = {label for kind in ("speech", "instruments") for label in MAKERS[kind].captions}
    rules = ClipRules(frozenset(labels - wanted))
    library = gather(["speech", "instruments"], rules, RATE, synthetic_per_label=2).library
    assert sorted(clip.label for clip in library.clips) == ["flute", "flute", "male_speech", "male_speech"]
    assert "a man is talking" in library.wordings["male_speech"]
    assert len({clip.sound.tobytes() for clip in library.clips}) == 4
