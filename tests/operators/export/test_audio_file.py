from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import wavinfo

from operators.export.audio_file import FACT_CHARACTERS, AudioFacts, AudioFileError, AudioFileWriter, AudioForm
from operators.export.plan import FLAC_ANY_RATE, FLAC_HIGHEST_RATE
from operators.failure import SourceFailure
from operators.whole_file import place

FACTS = AudioFacts(
    "ein Hündchen " * 40, "/m/walk.wav", "a dog barking", "ANMLDog", ("wet", "field"), 2**33 + 5, "f" * 32
)


def steps(channels: int, samples: int = 5000) -> np.ndarray:
    """Every kind of 24-bit step, the two ends of the scale included: int32[T, C]."""
    drawn = np.random.default_rng(channels).integers(-(2**23), 2**23, (samples, channels))
    drawn[0], drawn[1] = -(2**23), 2**23 - 1
    return drawn.astype(np.int32) << 8


def write(uri: object, form: AudioForm, *blocks: np.ndarray) -> int:
    with AudioFileWriter(str(uri), form, FACTS) as writer:
        for block in blocks:
            writer.write(block)
        return writer.publish()


def probed(path: Path) -> dict[str, object]:
    command = ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", str(path)]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return {**told["streams"][0], "tags": told["format"].get("tags", {})}


@pytest.mark.parametrize("container", ["wav", "flac"])
@pytest.mark.parametrize(
    ("channels", "layout"),
    [(1, None), (2, "stereo"), (3, "2.1"), (6, "5.1"), (6, "5.1(side)"), (6, "hexagonal"), (8, "7.1")],
)
def test_steps_layout_and_rate_come_back_as_they_were(
    tmp_path: Path, container: str, channels: int, layout: str | None
) -> None:
    path, samples = tmp_path / f"x.{container}", steps(channels)
    form = AudioForm(container, False, 96_000, channels, layout)  # type: ignore[arg-type]
    assert write(path, form, samples[:1234], samples[1234:]) == path.stat().st_size
    back, rate = soundfile.read(path, dtype="int32", always_2d=True)
    told = probed(path)
    assert (rate, told["channels"], told["bits_per_raw_sample"]) == (96_000, channels, "24")
    assert told["channel_layout"] == (layout or "mono")
    np.testing.assert_array_equal(back, samples)


def test_floats_above_full_scale_come_back_as_they_were(tmp_path: Path) -> None:
    samples = np.linspace(-3, 3, 999, dtype=np.float32)[:, None]
    write(tmp_path / "x.wav", AudioForm("wav", True, 8000, 1, None), samples)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "x.wav", dtype="float32", always_2d=True)[0], samples)


@pytest.mark.parametrize("container", ["wav", "flac"])
def test_the_same_samples_and_facts_give_the_same_bytes(tmp_path: Path, container: str) -> None:
    form = AudioForm(container, False, 8000, 2, "stereo")  # type: ignore[arg-type]
    for name in ("a", "b"):
        write(tmp_path / name, form, steps(2))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_wav_is_a_broadcast_wave_that_tells_where_it_belongs(tmp_path: Path) -> None:
    write(tmp_path / "x.wav", AudioForm("wav", False, 8000, 2, "stereo"), steps(2))
    told = wavinfo.WavInfoReader(str(tmp_path / "x.wav"), bext_encoding="utf-8", info_encoding="utf-8")
    assert told.bext.time_reference == 2**33 + 5
    assert (told.bext.originator, told.bext.originator_ref) == ("soundquarry", "f" * 32)
    assert (told.bext.originator_date, told.bext.originator_time) == ("", "")
    assert told.bext.description.startswith("ein Hündchen")
    assert 250 < len(told.bext.description.encode()) <= 256
    assert (told.info.title, told.info.genre, told.info.keywords) == ("a dog barking", "ANMLDog", "wet; field")
    assert (told.info.source, told.info.comment) == ("/m/walk.wav", FACTS.description)


def test_a_flac_tells_the_same_in_its_comments(tmp_path: Path) -> None:
    write(tmp_path / "x.flac", AudioForm("flac", False, 8000, 2, "stereo"), steps(2))
    told = {name.lower(): value for name, value in dict(probed(tmp_path / "x.flac")["tags"]).items()}  # type: ignore[call-overload]
    assert (told["time_reference"], told["originator"]) == (str(2**33 + 5), "soundquarry")
    assert (told["source"], told["keywords"]) == ("/m/walk.wav", "wet; field")


def test_what_is_not_published_leaves_nothing(tmp_path: Path) -> None:
    with AudioFileWriter(str(tmp_path / "x.wav"), AudioForm("wav", False, 8000, 1, None), FACTS) as writer:
        writer.write(steps(1))
    assert list(tmp_path.iterdir()) == []


def test_a_file_can_go_to_any_file_system() -> None:
    size_bytes = write("memory://exported/x.wav", AudioForm("wav", False, 8000, 1, None), steps(1))
    there = place("memory://exported/x.wav")
    assert there.fs.size(there.path) == size_bytes


def test_the_longest_name_that_a_file_system_holds_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 251 + ".wav")
    write(path, AudioForm("wav", False, 8000, 1, None), steps(1))
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("container", ["wav", "flac"])
@pytest.mark.parametrize("samples", [360_000, 2_000_000])
def test_a_full_disk_is_told_and_leaves_nothing(tiny_disk: Path, container: str, samples: int) -> None:
    form = AudioForm(container, False, 8000, 1, None)  # type: ignore[arg-type]
    with pytest.raises(SourceFailure, match="no space left"):
        write(tiny_disk / "x.wav", form, *np.array_split(steps(1, samples), 20))
    assert list(tiny_disk.iterdir()) == []


@pytest.mark.parametrize("rate", [65_534, 65_540, 655_340, 65_535, 65_537, 96_001, 655_350])
def test_ffmpeg_writes_just_the_rates_into_flac_that_the_plan_lets_through(tmp_path: Path, rate: int) -> None:
    fits = rate <= FLAC_ANY_RATE or (rate % 10 == 0 and rate <= FLAC_HIGHEST_RATE)
    form = AudioForm("flac", False, rate, 1, None)
    if fits:
        write(tmp_path / "x.flac", form, steps(1))
        assert probed(tmp_path / "x.flac")["sample_rate"] == str(rate)
    else:
        with pytest.raises(AudioFileError):
            write(tmp_path / "x.flac", form, steps(1))


@pytest.mark.parametrize("container", ["wav", "flac"])
def test_tags_that_no_program_takes_are_cut_and_cleaned(tmp_path: Path, container: str) -> None:
    tags = ("a\0b\nc", *(f"tag {k}" for k in range(30_000)))
    facts = replace(FACTS, tags=tags, query_text="a\0dog " * 30_000, source_uri="/m/" + "x" * 200_000)
    form = AudioForm(container, False, 8000, 1, None)  # type: ignore[arg-type]
    with AudioFileWriter(str(tmp_path / "x"), form, facts) as writer:
        writer.write(steps(1))
        writer.publish()
    told = {name.lower(): value for name, value in dict(probed(tmp_path / "x")["tags"]).items()}  # type: ignore[call-overload]
    keywords = told["ikey" if "ikey" in told else "keywords"].split("; ")
    assert keywords[0] == "a b c"
    assert keywords[-1] == f"tag {len(keywords) - 2}"
    assert 3900 < len("; ".join(keywords)) <= FACT_CHARACTERS
    assert told["title"].startswith("a dog a dog")
    assert len(told["title"]) <= FACT_CHARACTERS


def test_a_file_that_ffmpeg_cannot_be_started_for_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="null byte"):
        AudioFileWriter(str(tmp_path / "x.wav"), AudioForm("wav", False, 8000, 1, "ste\0reo"), FACTS)
    assert list(tmp_path.iterdir()) == []
