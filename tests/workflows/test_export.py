"""From a dataset to files: what a person types, and what lies there afterwards."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import wavinfo
from fabricated_dataset import SAMPLE_RATE, Member, commit_unit, sign, write_plan
from made_media import ffmpeg
from s3_store import s3_files, s3_server
from typer.testing import CliRunner

from operators.whole_file import place
from workflows.cli import app
from workflows.export import ExportJob, export

SOUNDQUARRY = [sys.executable, "-m", "workflows.cli"]
RATE = 32_000


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["export", *arguments])
    return done.exit_code, done.stdout, done.stderr


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def out(tmp_path: Path) -> str:
    """Two sources, of which one has two tracks; the second has no rain."""
    folder = str(tmp_path / "out")
    sign(folder, kind="extract")
    walk = {"channels": 2, "columns": {"source_clock_seconds": 7200.0, "ucs_cat_id": "ANMLDog", "tags": ["wet"]}}
    commit_unit(
        folder,
        "aa01",
        [
            Member("/m/day 1/walk.wav", seconds=70.0, present=("dog", "rain"), **walk),  # type: ignore[arg-type]
            Member("/m/talk.mkv", track=0),
            Member("/m/talk.mkv", track=1),
        ],
    )
    return folder


def test_stems_and_an_index_of_them(out: str, tmp_path: Path) -> None:
    code, said, _ = run(out, "--to", str(tmp_path / "to"))
    assert code == 0
    assert "4 stems" in said
    assert "2 (track, query) pairs have no stem" in said
    names = ["talk.track1/dog.wav", "talk/dog.wav", "walk/dog.wav", "walk/rain.wav"]
    assert files_below(tmp_path / "to") == ["index.csv", *names]
    with (tmp_path / "to" / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["file"] for row in rows) == names
    for row in rows:
        told = wavinfo.WavInfoReader(str(tmp_path / "to" / row["file"]))
        assert told.bext.time_reference == int(row["time_reference"])
        assert told.data.frame_count == round(float(row["end_seconds"]) * SAMPLE_RATE)
    assert {row["time_reference"] for row in rows} == {"0", str(7200 * SAMPLE_RATE)}


def test_the_summary_is_one_json_object(out: str, tmp_path: Path) -> None:
    code, said, _ = run(out, "--to", str(tmp_path / "to"), "--shape", "events", "--format", "flac", "--json")
    told = json.loads(said)
    assert (code, told["files"], told["shape"], told["container"], told["float_files"]) == (0, 6, "events", "flac", 0)
    assert told["size_bytes"] == sum(path.stat().st_size for path in (tmp_path / "to").rglob("*.flac"))
    assert told["seconds"] == pytest.approx(12.0)


def test_a_dry_run_lists_the_files_and_writes_nothing(out: str, tmp_path: Path) -> None:
    code, said, _ = run(out, "--to", str(tmp_path / "to"), "--dry-run", "--source", "*walk*")
    assert (code, said.splitlines()[:2]) == (0, ["walk/dog.wav", "walk/rain.wav"])
    told = json.loads(run(out, "--to", str(tmp_path / "to"), "--dry-run", "--json")[1])
    assert len(told["names"]) == told["files"] == 4
    assert not (tmp_path / "to").exists()


def test_the_same_export_gives_the_same_bytes_and_needs_leave_to_replace(out: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert run(out, "--to", str(tmp_path / name))[0] == 0
    for name in files_below(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    code, _, said = run(out, "--to", str(tmp_path / "one"))
    assert code == 2
    assert "--overwrite" in said
    assert run(out, "--to", str(tmp_path / "one"), "--overwrite")[0] == 0


def test_what_is_missing_of_a_source_is_told_everywhere(out: str, tmp_path: Path) -> None:
    lost = Member("/m/talk.mkv", track=1, start=1200.0, status="failed", error_class="worker_lost", fields={"track": 1})
    commit_unit(out, "bb01", [Member("/m/talk.mkv", track=1, start=600.0), lost])
    write_plan(out, {"bb01": [Member("/m/talk.mkv", track=1, start=1200.0, seconds=50.0)]})
    code, said, _ = run(out, "--to", str(tmp_path / "to"))
    assert code == 0
    assert "630.0 s of 1 tracks are missing" in said
    assert "/m/talk.mkv, track 1: 630.0 s, first at 20 s" in said
    with (tmp_path / "to" / "index.csv").open(newline="") as file:
        rows = {row["file"]: row["missing_seconds"] for row in csv.DictReader(file)}
    assert rows["talk.track1/dog.wav"] == "630.000"
    assert {seconds for name, seconds in rows.items() if "track1" not in name} == {"0.000"}
    assert "630.0 s of 1 tracks are missing" in run(out, "--to", str(tmp_path / "dry"), "--dry-run")[1]
    for more in ([], ["--dry-run"]):
        told = json.loads(run(out, "--to", str(tmp_path / "json"), "--json", *more)[1])
        assert told["missing"] == [
            {"source_uri": "/m/talk.mkv", "track": 1, "seconds": 630.0, "first_seconds": 20.0, "is_open": False}
        ]
        shutil.rmtree(tmp_path / "json", ignore_errors=True)
    assert "tracks are missing" not in run(out, "--to", str(tmp_path / "walk"), "--source", "*walk*")[1]


def test_two_exports_share_a_folder_and_its_index(out: str, tmp_path: Path) -> None:
    assert run(out, "--to", str(tmp_path / "to"), "--query", "dog")[0] == 0
    assert run(out, "--to", str(tmp_path / "to"), "--query", "rain")[0] == 0
    code, _, said = run(out, "--to", str(tmp_path / "to"), "--query", "rain")
    assert (code, "1 of 1 files exist already" in said) == (2, True)
    assert run(out, "--to", str(tmp_path / "to"), "--query", "rain", "--overwrite")[0] == 0
    with (tmp_path / "to" / "index.csv").open(newline="") as file:
        listed = [row["file"] for row in csv.DictReader(file)]
    assert sorted(listed) == [name for name in files_below(tmp_path / "to") if name != "index.csv"]
    assert len(listed) == 4


def test_an_index_that_is_not_ours_is_replaced_only_with_leave(out: str, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "index.csv").write_text("my,notes\n")
    code, _, said = run(out, "--to", str(tmp_path / "to"))
    assert (code, "is no index of an export" in said, files_below(tmp_path / "to")) == (2, True, ["index.csv"])
    assert run(out, "--to", str(tmp_path / "to"), "--overwrite")[0] == 0
    assert (tmp_path / "to" / "index.csv").read_text().startswith("file,source_uri")


@pytest.mark.parametrize("to", ["file", "file/deep", "/proc/xx"])
def test_a_place_that_takes_no_files_is_refused_first(out: str, tmp_path: Path, to: str) -> None:
    (tmp_path / "file").touch()
    for more in ([], ["--dry-run"], ["--overwrite"]):
        code, _, said = run(out, "--to", str(tmp_path / to), *more)
        assert code == 2, said
        assert "give another --to" in said


def test_ucs_names(out: str, tmp_path: Path) -> None:
    options = ["--ucs", "--creator", "ABC", "--shape", "events", "--source", "*walk*", "--query", "dog"]
    assert run(out, "--to", str(tmp_path / "to"), *options)[0] == 0
    assert files_below(tmp_path / "to") == [
        "ANMLDog_The Sound Of Dog 01_ABC_walk.wav",
        "ANMLDog_The Sound Of Dog 02_ABC_walk.wav",
        "index.csv",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--shape", "loops"], "--shape is 'loops'"),
        (["--format", "mp3"], "--format is 'mp3'"),
        (["--top", "0"], "--top is 0"),
        (["--min-presence", "2"], "--min-presence is 2"),
        (["--gain-db", "nan"], "--gain-db is nan"),
        (["--top", "3"], "--shape events"),
        (["--no-duplicates"], "--shape events"),
        (["--ucs", "--name", "x.{ext}"], "--ucs is a --name"),
        (["--ucs", "--creator", "ABC"], "no UCS category is told for dog"),
        (["--query", "cat"], "there are dog, rain"),
        (["--name", "{query}.{ext}"], "collide"),
        (["--name", "../{source}_{query}.{ext}"], "not safe"),
        (["--name", "{color}.{ext}"], "fields are"),
    ],
)
def test_wrong_use_ends_with_two_and_writes_nothing(out: str, tmp_path: Path, options: list[str], said: str) -> None:
    code, _, error = run(out, "--to", str(tmp_path / "to"), *options)
    assert (code, said in error) == (2, True), error
    assert not (tmp_path / "to").exists()


def test_a_missing_dataset_is_wrong_use(tmp_path: Path) -> None:
    assert run(str(tmp_path / "otu"), "--to", str(tmp_path / "to"))[0] == 2


def test_flac_that_would_clip_is_refused_before_anything_is_written(out: str, tmp_path: Path) -> None:
    loud = {"dog": [(0.0, np.full((1, SAMPLE_RATE), 1.44, np.float32))]}
    commit_unit(out, "bb01", [Member("/m/loud.wav", seconds=1.0, stems=loud)], queries=("dog",))
    code, _, said = run(out, "--to", str(tmp_path / "to"), "--format", "flac")
    assert (code, "--gain-db -3.2" in said, (tmp_path / "to").exists()) == (2, True, False)
    assert run(out, "--to", str(tmp_path / "to"), "--format", "flac", "--gain-db", "-3.2")[0] == 0
    code, told, _ = run(out, "--to", str(tmp_path / "wav"))
    assert (code, "1 files are 32-bit float" in told) == (0, True)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with s3_server() as address, s3_files(address, monkeypatch) as files:
        files.mkdir("sounds")
        yield "s3://sounds"


def test_dataset_and_files_may_lie_in_buckets(bucket: str) -> None:
    sign(f"{bucket}/out", kind="extract")
    commit_unit(f"{bucket}/out", "aa01", [Member("/m/walk.wav")])
    assert run(f"{bucket}/out", "--to", f"{bucket}/to")[0] == 0
    target = place(f"{bucket}/to")
    assert [path.removeprefix(target.path) for path in target.find("")] == ["/index.csv", "/walk/dog.wav"]
    code, _, said = run(f"{bucket}/out", "--to", f"{bucket}/to")
    assert (code, "--overwrite" in said) == (2, True)


def test_an_export_that_is_killed_leaves_whole_files_only(out: str, tmp_path: Path) -> None:
    commit_unit(out, "cc01", [Member(f"/m/s{k:02}.wav", seconds=120.0, channels=2) for k in range(12)])
    run = subprocess.Popen([*SOUNDQUARRY, "export", out, "--to", str(tmp_path / "to")], stdout=subprocess.DEVNULL)
    while len(list((tmp_path / "to").rglob("*.wav"))) < 6:
        assert run.poll() is None
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    there = [path for path in (tmp_path / "to").rglob("*") if path.is_file() and not path.name.startswith(".")]
    assert 6 <= len(there) < 16
    for path in there:
        frames = 120 if path.parent.name.startswith("s") else 70 if path.parent.name == "walk" else 20
        assert soundfile.info(path).frames == frames * SAMPLE_RATE
    assert export(ExportJob(out, str(tmp_path / "to"), overwrite=True)).files == 16


@pytest.mark.slow
def test_a_click_of_a_late_track_is_where_it_was_in_the_source(tmp_path: Path) -> None:
    """Audio that starts 1.5 s after the picture, with a click 2 s into it: 3.5 s after the picture began."""
    clicks = np.zeros(RATE * 6, np.float32)
    clicks[2 * RATE : 2 * RATE + 320] = 0.8 * np.sin(np.arange(320) * 0.3)
    soundfile.write(tmp_path / "click.wav", clicks, RATE)
    archive = tmp_path / "archive"
    archive.mkdir()
    picture = ["-f", "lavfi", "-i", "testsrc=size=64x64:rate=25:duration=8"]
    sound = ["-itsoffset", "1.5", "-i", str(tmp_path / "click.wav")]
    for name, codec in (("late.mkv", "flac"), ("late.mp4", "aac"), ("late.ts", "mp2")):
        ffmpeg(*picture, *sound, "-map", "0:v", "-map", "1:a", "-c:a", codec, str(archive / name))
    (tmp_path / "catalog.yaml").write_text("- a click\n")
    command = [*SOUNDQUARRY, "extract", str(archive), "--catalog", str(tmp_path / "catalog.yaml")]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out"), "--no-gate", "--device", "cpu"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    summary = export(ExportJob(str(tmp_path / "out"), str(tmp_path / "to"), name="{source_ext}.{ext}"))
    assert summary.files == 3
    for name in ("mkv", "mp4", "ts"):
        samples, rate = soundfile.read(tmp_path / "to" / f"{name}.wav", always_2d=True)
        told = wavinfo.WavInfoReader(str(tmp_path / "to" / f"{name}.wav"))
        loudest = int(np.abs(samples).max(axis=1).argmax())
        place_seconds = (told.bext.time_reference + loudest) / rate
        assert place_seconds == pytest.approx(3.505, abs=0.02), name
