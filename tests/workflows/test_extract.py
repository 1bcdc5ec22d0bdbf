"""The whole flow on a real local Ray: nothing lost, nothing twice, whatever is killed and however the work is cut.

What is killed is a process with a Ray of its own; the other runs are of this process and share one Ray.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from command_here import command_here, told_by
from made_archives import zip_of
from made_media import chirp, encode, ffmpeg

from operators.media.flac import decode_flac
from operators.verification import verify_dataset

Stems = dict[tuple[str, int, str], npt.NDArray[np.float32]]
SOUNDQUARRY = [sys.executable, "-m", "workflows.cli"]
CATALOG = "- a dog barking\n- rain\n"
RATE = 32_000


pytestmark = pytest.mark.usefixtures("one_ray")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with stereo, mono and video media, and with files that cannot be read."""
    folder = tmp_path_factory.mktemp("archive")
    encode(folder / "stereo.flac", chirp(44_100, 61.0), 44_100)
    encode(folder / "mono.wav", chirp(22_050, 7.5, channels=1), 22_050)
    (folder / "empty.wav").touch()
    (folder / "notes.mp3").write_text("these are not the sounds you are looking for")
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x64:rate=5:duration=2", str(folder / "silent.mp4"))
    (folder / "catalog.yaml").write_text(CATALOG)
    return folder


def arguments(archive: Path, out: Path, *options: str, source: Path | None = None) -> list[str]:
    return [
        "extract", str(source or archive), "--catalog", str(archive / "catalog.yaml"), "--out", str(out),
        "--no-gate", "--device", "cpu", "--json", *options,
    ]  # fmt: skip


def command(archive: Path, out: Path, *options: str) -> list[str]:
    """The same for a process of its own, with a Ray of its own."""
    return [*SOUNDQUARRY, *arguments(archive, out, *options)]


def extract(archive: Path, out: Path, *options: str) -> list[dict[str, Any]]:
    """The JSON lines of a run in this process, which must end well."""
    return told_by(*arguments(archive, out, *options))


def stems_of(out: Path) -> Stems:
    """Every track's stem of every query, its rows laid end to end on the source's time line."""
    rows = pads.dataset(out / "stems").to_table().to_pylist()
    stems: Stems = {}
    for row in sorted(rows, key=lambda row: row["start_seconds"]):
        samples, rate = decode_flac(row["audio"]["bytes"], row["gain_db"])
        key = (Path(row["source_uri"]).name, row["track"], row["query_id"])
        start, stop = round(row["start_seconds"] * rate), round(row["end_seconds"] * rate)
        before = stems.get(key, np.zeros((samples.shape[0], 0), np.float32))
        whole = np.zeros((samples.shape[0], max(stop, before.shape[1])), np.float32)
        whole[:, : before.shape[1]] = before
        whole[:, start:stop] = samples
        stems[key] = whole
    return stems


def ids(out: Path) -> list[str]:
    return sorted(pads.dataset(out / "stems").to_table(columns=["stem_id"])["stem_id"].to_pylist())


@pytest.fixture(scope="module")
def whole(archive: Path, one_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of one uninterrupted run with units of 20 seconds."""
    out = tmp_path_factory.mktemp("whole") / "out"
    extract(archive, out, "--unit-seconds", "20")
    return out


def test_every_source_is_accounted_for_and_the_dataset_verifies(whole: Path) -> None:
    sources = {Path(row["source_uri"]).name: row for row in pq.read_table(whole / "sources.parquet").to_pylist()}
    assert {name: row["status"] for name, row in sources.items()} == {
        "stereo.flac": "ok",
        "mono.wav": "ok",
        "empty.wav": "unreadable",
        "notes.mp3": "unreadable",
        "silent.mp4": "no_audio",
    }
    assert all(row["message"] for row in sources.values() if row["status"] != "ok")
    assert sources["stereo.flac"]["channels"] == 2
    assert verify_dataset(str(whole), decode=True).findings == []
    assert (whole / "report.html").stat().st_size > 10_000


def test_stems_have_the_length_and_the_channels_of_their_source(whole: Path) -> None:
    stems = stems_of(whole)
    assert {key[0] for key in stems} == {"stereo.flac", "mono.wav"}
    for (name, _, _), stem in stems.items():
        seconds, channels = (61.0, 2) if name == "stereo.flac" else (7.5, 1)
        assert stem.shape == (channels, round(seconds * RATE))


def test_a_second_run_finds_everything_done(archive: Path, whole: Path) -> None:
    before = ids(whole)
    lines = extract(archive, whole, "--unit-seconds", "20")
    assert [line["units"] for line in lines if line["event"] == "done"] == [0]
    assert ids(whole) == before


def test_neither_unit_length_nor_workers_change_a_stem(archive: Path, whole: Path, tmp_path: Path) -> None:
    extract(archive, tmp_path / "out", "--unit-seconds", "600", "--workers", "2")
    ours, theirs = stems_of(whole), stems_of(tmp_path / "out")
    assert ours.keys() == theirs.keys()
    assert max(float(np.abs(ours[key] - theirs[key]).max()) for key in ours) < 1e-4


def test_another_setting_is_refused_with_what_differs(archive: Path, whole: Path) -> None:
    done = command_here(*arguments(archive, whole, "--unit-seconds", "30"))
    assert done.exit_code == 2
    assert "unit_seconds" in done.stderr
    assert "--out" in done.stderr


def test_wrong_use_ends_with_two_before_anything_is_written(archive: Path, tmp_path: Path) -> None:
    missing = command_here(*arguments(archive, tmp_path / "out", source=archive / "nothing-here.wav"))
    assert missing.exit_code == 2
    assert "nothing-here.wav" in missing.stderr
    (tmp_path / "empty.yaml").write_text("[]")
    done = command_here(*arguments(archive, tmp_path / "out"), "--catalog", str(tmp_path / "empty.yaml"))
    assert done.exit_code == 2
    assert "empty" in done.stderr
    assert not (tmp_path / "out" / "stems").exists()


def test_clips_of_a_manifest_may_overlap_and_their_tags_are_in_every_row(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zip_of([("é/stereo.flac", (archive / "stereo.flac").read_bytes())]))
    member = "zip://é/stereo.flac::x.zip"
    lines = ["uri,start,end,tags,licence", f"{member},9.5,21,field;dog,CC0", f"{member},15,32.5,,", f"{member},70,80,,"]
    manifest = tmp_path / "clips.csv"
    manifest.write_text("\n".join([*lines, "gone.wav,,,,"]))
    (dry,) = told_by(*arguments(archive, tmp_path / "out", "--dry-run", source=manifest))
    assert (dry["sources"], dry["problems"]) == (4, 1)

    told_by(*arguments(archive, tmp_path / "out", "--unit-seconds", "20", source=manifest))
    assert verify_dataset(str(tmp_path / "out")).findings == []
    rows = pads.dataset(tmp_path / "out" / "stems").to_table().to_pylist()
    spans = {(row["start_seconds"], row["end_seconds"], *row["tags"]) for row in rows}
    tags = ("field", "dog", "licence=CC0")
    assert spans == {(9.5, 20.0, *tags), (20.0, 21.0, *tags), (15.0, 20.0), (20.0, 32.5)}
    sources = pq.read_table(tmp_path / "out" / "sources.parquet").to_pylist()
    assert sorted(row["error_class"] for row in sources) == ["clip_outside", "not_found"]


def test_a_dry_run_estimates_and_writes_nothing(archive: Path, tmp_path: Path) -> None:
    (estimate,) = extract(archive, tmp_path / "out", "--dry-run")
    assert estimate["sources"] == 5
    assert estimate["queries"] == 2
    assert estimate["units"] >= 4


def _killed_at(archive: Path, out: Path, moment: float, victim: str) -> None:
    """Start a run, kill -9 its driver or workers once `moment` of its units are committed, and let it end."""
    run = subprocess.Popen(
        command(archive, out, "--unit-seconds", "20"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert run.stdout is not None
    planned = 0
    for line in run.stdout:
        event = json.loads(line)
        planned = event.get("units_planned", planned)
        if event["event"] == "unit" and event["units_done"] >= moment * planned:
            break
    if victim == "driver":
        os.kill(run.pid, signal.SIGKILL)
    else:
        for pid in _workers(run.pid):
            os.kill(pid, signal.SIGKILL)
    run.stdout.close()
    run.wait(timeout=240)


def _workers(driver: int) -> Iterator[int]:
    """Ray processes of the driver that separate."""
    import psutil

    for process in psutil.Process(driver).children(recursive=True):
        with_name = " ".join(process.cmdline())
        if "SeparateAndCommit" in with_name:
            yield process.pid


def _assert_resumes(archive: Path, out: Path, whole: Path) -> None:
    extract(archive, out, "--unit-seconds", "20")
    assert ids(out) == ids(whole)
    ours, theirs = stems_of(whole), stems_of(out)
    assert max(float(np.abs(ours[key] - theirs[key]).max()) for key in ours) < 1e-4
    # A killed writer leaves its temporary file; it is swept when it is an hour old, and hurts nobody until then.
    findings = verify_dataset(str(out), decode=True).findings
    assert [finding for finding in findings if not finding.harmless] == []


def test_a_run_whose_driver_is_killed_goes_on_and_ends_the_same(archive: Path, whole: Path, tmp_path: Path) -> None:
    _killed_at(archive, tmp_path / "out", 0.3, "driver")
    _assert_resumes(archive, tmp_path / "out", whole)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["driver", "worker"])
@pytest.mark.parametrize("moment", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_run_that_is_killed_at_any_moment_goes_on_and_ends_the_same(
    archive: Path, whole: Path, tmp_path: Path, moment: float, victim: str
) -> None:
    _killed_at(archive, tmp_path / "out", moment, victim)
    _assert_resumes(archive, tmp_path / "out", whole)
    shutil.rmtree(tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [2.0, 6.0, 9.0])
def test_a_run_that_is_killed_while_it_starts_goes_on(
    archive: Path, whole: Path, tmp_path: Path, seconds: float
) -> None:
    run = subprocess.Popen(
        command(archive, tmp_path / "out", "--unit-seconds", "20"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(seconds)
    run.kill()
    run.wait(timeout=60)
    _assert_resumes(archive, tmp_path / "out", whole)
