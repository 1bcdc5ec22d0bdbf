"""The demo: its scene is what it says, and its scorer tells a good stem from a bad one on a fabricated dataset."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import typer
from rich.console import Console

from operators.catalog import load_catalog
from operators.schema import STEM_SCHEMA
from workflows import demo
from workflows.demo import contested, read_stem, rows_of, score, score_dataset
from workflows.demo_sounds import ABSENT, Scene, compose, write_scene

RATE = 8_000


@pytest.fixture(scope="module")
def scene() -> Scene:
    return compose(seed=0)


@pytest.fixture(scope="module")
def written(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    write_scene(scene, folder)
    return folder


def write_stem(
    dataset: Path, query_id: str, pieces: list[tuple[float, np.ndarray]], rate: int, gain_db: float = 0.0
) -> None:
    """A committed file with one row per (start in seconds, float32[C, T])."""
    rows = []
    for start, samples in pieces:
        flac = io.BytesIO()
        soundfile.write(flac, samples.T * 10 ** (gain_db / 20), rate, format="FLAC", subtype="PCM_24")
        row = dict.fromkeys(STEM_SCHEMA.names)
        row |= {"query_id": query_id, "start_seconds": start, "end_seconds": start + samples.shape[1] / rate}
        rows.append(row | {"gain_db": gain_db, "audio": {"bytes": flac.getvalue(), "path": "stem.flac"}})
    path = dataset / "stems" / query_id[:2] / f"{query_id}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=STEM_SCHEMA), path)


def test_the_scene_is_the_sum_of_its_stems_and_a_quiet_background(scene: Scene) -> None:
    background = scene.mixture - sum(scene.stems.values())
    assert scene.mixture.shape == (2, 60 * scene.sample_rate)
    assert np.abs(scene.mixture).max() < 0.95
    assert 20 * np.log10(background.std()) < -55
    assert not np.array_equal(scene.mixture[0], scene.mixture[1])


def test_the_scene_follows_from_its_seed(scene: Scene) -> None:
    assert compose(seed=0).mixture.tobytes() == scene.mixture.tobytes()


def test_two_sounds_at_a_time_and_never_three(scene: Scene) -> None:
    clips = scene.clips
    assert 10 <= len(clips) <= 14
    assert len({clip.label for clip in clips}) >= 4
    assert all(later.start_seconds < earlier.end_seconds for earlier, later in itertools.pairwise(clips))
    assert all(later.start_seconds >= earlier.end_seconds for earlier, later in zip(clips, clips[2:], strict=False))
    assert clips[-1].end_seconds <= 60


def test_every_label_sounds_in_its_clips_and_nowhere_else(scene: Scene) -> None:
    for label, stem in scene.stems.items():
        outside = np.ones(stem.shape[1], bool)
        for clip in scene.clips:
            if clip.label == label:
                first, last = (round(t * scene.sample_rate) for t in (clip.start_seconds, clip.end_seconds))
                outside[first:last] = False
                assert np.abs(stem[:, first:last]).max() > 0.01
        assert not stem[:, outside].any()


def test_every_label_competes_with_another_for_a_second_at_least_whatever_the_seed(scene: Scene) -> None:
    other = compose(seed=1)
    assert other.mixture.tobytes() != scene.mixture.tobytes()
    for drawn in (scene, other):
        for label, stem in drawn.stems.items():
            assert contested(stem, drawn.mixture, drawn.sample_rate).sum() >= drawn.sample_rate, label


def test_the_written_archive_is_a_video_whose_sound_is_the_mixture_in_time(scene: Scene, written: Path) -> None:
    video = written / "archive" / "demo.mp4"
    probe = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "json", str(video)]
    streams = json.loads(subprocess.run(probe, capture_output=True, check=True).stdout)["streams"]
    assert [stream["codec_name"] for stream in streams] == ["h264", "aac"]
    decode = ["ffmpeg", "-v", "error", "-i", str(video), "-f", "f32le", "-"]
    pcm = subprocess.run(decode, capture_output=True, check=True).stdout
    decoded = np.frombuffer(pcm, np.float32).reshape(-1, 2).T[:, : scene.mixture.shape[1]]
    error = decoded - scene.mixture[:, : decoded.shape[1]]
    assert decoded.shape[1] == scene.mixture.shape[1]
    assert np.square(error).sum() < 0.02 * np.square(scene.mixture).sum()


def test_the_written_truth_and_catalog_can_be_read_back(scene: Scene, written: Path) -> None:
    samples, rate = soundfile.read(written / "truth" / "dog.wav", always_2d=True)
    assert rate == scene.sample_rate
    assert np.allclose(samples.T, scene.stems["dog"], atol=1e-6)
    with (written / "truth" / "timeline.csv").open() as file:
        assert [row["label"] for row in csv.DictReader(file)] == [clip.label for clip in scene.clips]
    assert [query.id for query in load_catalog(written / "catalog.yaml").queries] == [*scene.stems, *ABSENT]


def test_a_stem_is_read_from_its_rows_with_gain_undone_and_silence_between(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    early, late = (generator.uniform(-0.4, 0.4, (2, RATE)).astype(np.float32) for _ in range(2))
    write_stem(tmp_path, "dog", [(1.0, early), (3.5, late)], RATE, gain_db=-6.0)
    write_stem(tmp_path, "rain", [(0.0, early)], RATE)
    stem = read_stem(tmp_path, "dog", channels=2, seconds=4.0, sample_rate=RATE)
    assert stem.shape == (2, 4 * RATE)
    assert np.allclose(stem[:, RATE : 2 * RATE], early, atol=1e-6)
    assert np.allclose(stem[:, 7 * RATE // 2 :], late[:, : RATE // 2], atol=1e-6)
    assert not stem[:, 2 * RATE : 7 * RATE // 2].any()
    assert (rows_of(tmp_path, "dog"), rows_of(tmp_path, "cat")) == (2, 0)


def test_a_stem_at_another_rate_is_brought_to_the_asked_one(tmp_path: Path) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)[None].astype(np.float32) * 0.5
    write_stem(tmp_path, "tone", [(0.0, tone)], RATE)
    stem = read_stem(tmp_path, "tone", channels=1, seconds=2.0, sample_rate=2 * RATE)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(4 * RATE) / (2 * RATE))
    assert np.abs(stem[0] - expected)[500:-500].max() < 1e-3


def test_an_absent_query_is_silence(tmp_path: Path) -> None:
    assert not read_stem(tmp_path, "dog", channels=1, seconds=1.0, sample_rate=RATE).any()


def test_contested_is_where_the_target_is_active_and_the_rest_within_the_margin() -> None:
    generator = np.random.default_rng(1)
    noise = generator.standard_normal((2, 1, 4 * RATE)).astype(np.float32) * 0.1
    target, other = noise[0].copy(), noise[1].copy()
    target[:, RATE : 2 * RATE] = 0  # silent target
    other[:, 2 * RATE : 3 * RATE] *= 0.1  # 20 dB below
    where = contested(target, target + other, RATE)
    assert where[:RATE].all()
    assert not where[RATE : 3 * RATE].any()
    assert where[3 * RATE :].all()


def test_the_score_is_the_improvement_over_the_mixture() -> None:
    generator = np.random.default_rng(2)
    target, other = generator.standard_normal((2, 2, 4 * RATE)).astype(np.float32) * 0.1
    outcome = score("dog", target + 0.1 * other, target, target + other, RATE)
    assert outcome.scored_seconds == 4.0
    assert outcome.mixture_si_sdr_db == pytest.approx(0.0, abs=0.3)
    assert outcome.si_sdri_db == pytest.approx(20.0, abs=0.3)
    assert score("dog", target + other, target, target + other, RATE).si_sdri_db == pytest.approx(0.0, abs=1e-6)


def test_a_missing_stem_is_said_to_be_missed_and_improves_nothing() -> None:
    generator = np.random.default_rng(3)
    target, other = generator.standard_normal((2, 1, 2 * RATE)).astype(np.float32) * 0.1
    outcome = score("dog", np.zeros_like(target), target, target + other, RATE)
    assert outcome.si_sdr_db is None
    assert outcome.si_sdri_db == 0.0


def test_a_dataset_of_nearly_true_stems_scores_high_and_one_of_mixtures_zero(
    scene: Scene, written: Path, tmp_path: Path
) -> None:
    leak = 0.05 * scene.mixture
    write_stem(tmp_path / "good", "dog", [(0.0, 0.95 * scene.stems["dog"] + leak)], scene.sample_rate, gain_db=-1.0)
    write_stem(tmp_path / "bad", "dog", [(0.0, scene.mixture)], scene.sample_rate)
    (good,) = score_dataset(tmp_path / "good", written / "truth", ["dog"])
    (bad,) = score_dataset(tmp_path / "bad", written / "truth", ["dog"])
    assert good.si_sdri_db > 20
    assert bad.si_sdri_db == pytest.approx(0.0, abs=0.1)


def test_the_demo_removes_only_what_an_earlier_demo_left(tmp_path: Path) -> None:
    out = tmp_path / "out"
    demo._make_room(out)
    (out / "old").touch()
    demo._make_room(out)
    assert [path.name for path in out.iterdir()] == [demo.MARKER]
    (tmp_path / "mine.txt").touch()
    with pytest.raises(typer.BadParameter, match="not empty and not of an earlier demo"):
        demo._make_room(tmp_path)
    assert (tmp_path / "mine.txt").exists()


EXTRACT_WITH_THE_TRUTH = """
import pathlib, sys, soundfile, numpy as np
sys.path.insert(0, {tests!r})
from test_demo import write_stem
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
leak = 0.01 if "--no-gate" in sys.argv else 0.1
mixture, rate = soundfile.read(out.parent / "truth" / "mixture.wav", dtype="float32")
for path in sorted((out.parent / "truth").glob("*.wav")):
    if path.stem == "flute" or (path.stem == "dog" and not {miss_dog}):
        stem = soundfile.read(path, dtype="float32")[0]
        write_stem(out, path.stem, [(0.0, (stem + leak * mixture).T)], rate)
sys.exit({code})
"""


def run_with_a_fake_extract(
    monkeypatch: pytest.MonkeyPatch, written: Path, scene: Scene, folder: Path, *, code: int = 0, miss_dog: bool = False
) -> tuple[int, str]:
    """The whole demo on two labels, extracted by a command that knows the truth and leaks a little of the mixture."""
    two = dataclasses.replace(scene, stems={label: scene.stems[label] for label in ("dog", "flute")})
    script = folder / "extract.py"
    tests = str(Path(__file__).parent)
    script.write_text(EXTRACT_WITH_THE_TRUTH.format(tests=tests, code=code, miss_dog=miss_dog))
    command = folder / "soundquarry"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
    command.chmod(0o755)

    def copy_scene(_: Scene, out: Path) -> Path:
        shutil.copytree(written, out, dirs_exist_ok=True)
        return out / "archive" / "demo.mp4"

    monkeypatch.setattr(demo, "_soundquarry", lambda: str(command))
    monkeypatch.setattr("workflows.demo_sounds.compose", lambda seed: two)
    monkeypatch.setattr("workflows.demo_sounds.write_scene", copy_scene)
    output = io.StringIO()
    console = Console(file=output, width=160)
    exit_code = demo.run_demo(folder / "out", model=None, seed=0, minimum_db=6.0, console=console)
    return exit_code, output.getvalue()


def test_the_demo_scores_both_runs_and_names_the_files_to_open(
    monkeypatch: pytest.MonkeyPatch, written: Path, scene: Scene, tmp_path: Path
) -> None:
    code, output = run_with_a_fake_extract(monkeypatch, written, scene, tmp_path, miss_dog=True)
    assert code == 0, output
    assert "dog" in output
    assert "missed" in output
    assert str(tmp_path / "out" / "with_gate" / "report.html") in output
    assert "not in the archive: chainsaw: 0 stem rows with the gate (as it should be)" in output
    content = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert content["mean_si_sdri_db"]["without_gate"] > content["mean_si_sdri_db"]["with_gate"] > 6
    assert [score["si_sdr_db"] is None for score in content["scores"]["with_gate"]] == [True, False]


def test_a_failed_extraction_fails_the_demo(
    monkeypatch: pytest.MonkeyPatch, written: Path, scene: Scene, tmp_path: Path
) -> None:
    code, output = run_with_a_fake_extract(monkeypatch, written, scene, tmp_path, code=2)
    assert code == 1
    assert "exit code 2" in output
