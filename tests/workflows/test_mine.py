"""Mining and residuals through the whole pipeline: events do not depend on units, stems and residual are the source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as pads
import pytest
import soundfile
from command_here import command_here, told_by
from made_media import encode, plain_decode, sample_media

from model.synthesis import synthesise
from operators.media.probe import probe
from operators.verification import verify_dataset

pytestmark = pytest.mark.usefixtures("one_ray")
RATE = 44_100
SECONDS = 48
CATALOG = """
- {id: dog, text: a dog barking, ucs: ANMLDog}
- {id: bell, text: a doorbell ringing}
- {id: again, text: a dog barking}
"""


def run(command: str, source: Path, catalog: Path, out: Path, *options: str) -> list[dict[str, Any]]:
    """The JSON lines of a run that must end well."""
    arguments = [command, str(source), "--catalog", str(catalog), "--out", str(out), "--device", "cpu", "--json"]
    return told_by(*arguments, *options)


def rows_of(out: Path, *columns: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pads.dataset(out / "stems").to_table(columns=list(columns) or None).to_pylist()
    return sorted(rows, key=lambda row: (row["query_id"], row["start_seconds"]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stereo recording of a dog and a bell, sounding over the borders of units, and a catalog."""
    folder = tmp_path_factory.mktemp("mining")
    random = np.random.default_rng(0)
    sound = 0.001 * random.standard_normal((SECONDS * RATE, 2))
    for label, starts in (("dog", (2, 17, 38)), ("doorbell", (8, 26.5))):
        for start in starts:
            clip = synthesise(label, 5.0, RATE, random)
            gains = random.uniform(0.3, 1.0, 2)
            sound[round(start * RATE) :][: len(clip)] += 0.7 * gains * clip[:, None] / np.abs(clip).max()
    encode(folder / "yard.flac", sound.astype(np.float32), RATE, "-sample_fmt", "s32")
    barks = 0.5 * synthesise("dog", 10.0, 96_000, random)[:, None] * random.uniform(0.3, 1.0, 6)
    barks += 0.01 * np.sin(2 * np.pi * 30_000 * np.arange(len(barks)) / 96_000)[:, None]
    encode(folder / "surround.flac", barks.astype(np.float32), 96_000, "-sample_fmt", "s32", "-channel_layout", "5.1")
    (folder / "catalog.yaml").write_text(CATALOG)
    return folder


def test_units_of_any_length_give_the_same_library(folder: Path, tmp_path: Path) -> None:
    libraries = []
    for unit_seconds in ("20", "600"):
        out = tmp_path / unit_seconds
        run("mine", folder / "yard.flac", folder / "catalog.yaml", out, "--unit-seconds", unit_seconds)
        assert [f for f in verify_dataset(str(out), decode=True).findings if not f.harmless] == []
        libraries.append(rows_of(out, "stem_id", "query_id", "start_seconds", "end_seconds", "events", "ucs_cat_id"))
    short, long = libraries
    assert len(long) > 4
    assert [row["stem_id"] for row in short] == [row["stem_id"] for row in long]
    for ours, theirs in zip(short, long, strict=True):
        assert ours["start_seconds"] == pytest.approx(theirs["start_seconds"], abs=1e-6)
        assert ours["events"][0]["end_seconds"] == pytest.approx(theirs["events"][0]["end_seconds"], abs=1e-6)
    assert {row["ucs_cat_id"] for row in long if row["query_id"] == "dog"} == {"ANMLDog"}


def test_exclusive_stems_and_residual_at_the_sources_rate_are_the_source(folder: Path, tmp_path: Path) -> None:
    """Exported, and of 44.1 kHz stereo as of 96 kHz surround with sound above the network's band."""
    out, files = tmp_path / "out", tmp_path / "files"
    run("extract", folder, folder / "catalog.yaml", out, "--exclusive", "--rate", "source")
    assert [f for f in verify_dataset(str(out), decode=True).findings if not f.harmless] == []
    exported = command_here("export", str(out), "--to", str(files))
    assert exported.exit_code == 0, exported.stderr
    for name, rate, channels, layout in (("yard", RATE, 2, "stereo"), ("surround", 96_000, 6, "5.1")):
        source = plain_decode(folder / f"{name}.flac", channels, rate=rate)
        stems = sorted((files / name).glob("*.wav"))
        assert {stem.stem for stem in stems} >= {"dog", "residual"}
        total = np.zeros_like(source)
        for stem in stems:
            samples, own_rate = soundfile.read(stem, dtype="float32", always_2d=True)
            assert (own_rate, samples.shape) == (rate, source.shape)
            total += samples
        assert 10 * np.log10(np.square(total - source).mean() / np.square(source).mean()) < -80
        (track,) = probe(f"file:{stems[0]}", str(stems[0]))
        assert (track.sample_rate, track.channels, track.channel_layout) == (rate, channels, layout)


def test_a_category_that_the_list_does_not_know_is_refused_before_anything_is_done(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "ucs.csv").write_text("Category,CatID\nANIMALS,ANMLDogs\n")
    command = ["mine", str(folder), "--catalog", str(folder / "catalog.yaml"), "--out", str(tmp_path / "out")]
    done = command_here(*command, "--ucs-list", str(tmp_path / "ucs.csv"))
    assert done.exit_code == 2
    assert "query 'dog': ucs 'ANMLDog' is not among the 1" in done.stderr
    assert "did you mean 'ANMLDogs'?" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_minutes_of_real_sound_give_the_same_events_for_units_of_20_45_and_600_seconds(tmp_path: Path) -> None:
    sample = sample_media("archive_10min.mp4")
    libraries = {}
    for unit_seconds in (20, 45, 600):
        out = tmp_path / str(unit_seconds)
        run("mine", sample, Path("everyday"), out, "--unit-seconds", str(unit_seconds))
        rows = rows_of(out, "query_id", "start_seconds", "events", "continued")
        libraries[unit_seconds] = [(row["query_id"], row["continued"], row["events"][0]) for row in rows]
    whole = libraries[600]
    assert len(whole) > 100
    for unit_seconds in (20, 45):
        assert len(libraries[unit_seconds]) == len(whole)
        for ours, theirs in zip(libraries[unit_seconds], whole, strict=True):
            assert ours[:2] == theirs[:2]
            for edge in ("start_seconds", "end_seconds"):
                assert abs(ours[2][edge] - theirs[2][edge]) <= 0.05
