from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import zlib
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from fabricated_dataset import Member, commit_unit, sign, tone

from operators.failure import SourceFailure
from operators.whereabouts import Whereabouts, write_listing
from workflows.reports.report import report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --enable-logging=stderr"
)
HOSTILE = "/x/<script>document.title='caught'</script>\"><img src=x onerror=alert(1)>'.wav"
VOID = {"meta", "img", "rect"}


class Page(HTMLParser):
    """What a page holds: tags with their attributes, text, and whether every tag is closed."""

    def __init__(self, path: str) -> None:
        super().__init__(convert_charrefs=True)
        self.source = Path(path).read_text()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(self.source)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID - {"rect"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def mixture(uri: str, version: str, track: int, start: float, end: float, sample_rate: int) -> np.ndarray:
    return tone(end - start, 340, 1, sample_rate) + tone(end - start, 1500, 1, sample_rate)


def gone(uri: str, version: str, track: int, start: float, end: float, sample_rate: int) -> np.ndarray:
    raise SourceFailure(status="failed", error_class="gone", message="the tape was burnt", stage="fetch")


def chromium(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    if CHROMIUM is None:
        pytest.skip("no chromium here: the page was NOT looked at in a browser")
    command = [CHROMIUM, *FLAGS.split(), f"--user-data-dir={folder / 'profile'}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("reports") / "tape archive")
    sign(folder, kind="extract")
    long = Member("/archive/long.mp4", seconds=180.0, channels=2, present=("dog",))
    second = Member("/archive/long.mp4", seconds=180.0, track=1, present=("rain",))
    short = [Member(f"tar://clip{k}.wav::/archive/clips.tar", seconds=9.0) for k in range(4)]
    commit_unit(folder, "aa01", [long, second], queries=("dog", "rain", "siren"))
    commit_unit(folder, "bb02", short, queries=("dog", "rain", "siren"))
    failed = Member(HOSTILE, status="failed", error_class="<b>", message="<script>alert('no')</script> & so on")
    commit_unit(folder, "cc03", [failed, Member("/archive/mute.mp4", status="no_audio", error_class="no_audio")])
    return folder


@pytest.fixture(scope="module")
def page(out: str) -> Page:
    return Page(report(out, read_mixture=mixture))


def test_where_no_dataset_lies_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no dataset at .*nowhere: no dataset\.json lies there"):
        report(str(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_an_empty_dataset_has_a_page(tmp_path: Path) -> None:
    sign(str(tmp_path / "nothing"))
    page = Page(report(str(tmp_path / "nothing")))
    assert "There is no stem to listen to." in page.text
    assert "No source has been read yet." in page.text
    assert page.all("audio") == []


def test_the_page_tells_what_the_dataset_holds(page: Page) -> None:
    assert "tape archive" in page.text
    for fact in ("6 min 36 s", "mini-0123", "Skipped by the gate", "Not heard: rain, siren"):
        assert fact in page.text, fact
    assert "5 ok, 1 no audio, 1 failed" in page.text
    assert "the sound of dog" in page.text
    assert "long.mp4 · track 1" in page.text
    assert "clips.tar › clip3.wav" in page.text
    assert "Without a stem: siren." in page.text
    assert "read_parquet" in page.text


def test_pictures_and_players_have_words_for_those_who_do_not_see_them(page: Page) -> None:
    assert len(page.all("audio")) == len(page.all("img")) == 2 * (3 + 3)
    for attributes in page.all("audio"):
        assert (attributes["src"] or "").startswith("data:audio/mpeg;base64,")
        assert (attributes["aria-label"] or "").startswith("Listen: ")
    for attributes in page.all("img"):
        assert "of" in (attributes["alt"] or "") or "for" in (attributes["alt"] or "")
    assert all(attributes.get("aria-label") for attributes in page.all("svg"))
    assert any("dog: " in (attributes["aria-label"] or "") for attributes in page.all("svg"))


def test_the_page_asks_nothing_of_the_network_and_runs_no_script(page: Page) -> None:
    addresses = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert all((value or "").startswith(("data:", "#")) for value in addresses)
    assert page.all("script") == page.all("link") == []
    assert not re.search(r"url\(|@import", page.source)
    (policy,) = [tag["content"] for tag in page.all("meta") if tag.get("http-equiv") == "Content-Security-Policy"]
    assert (policy or "").startswith("default-src 'none'")


def test_hostile_names_are_text_and_nothing_else(page: Page) -> None:
    assert HOSTILE.rsplit("/", 1)[-1] in page.text
    assert "<script>alert('no')</script> & so on" in page.text
    assert all("onerror" not in attributes for _, attributes in page.tags)


def test_a_source_that_is_gone_is_told_of_beside_its_stem(out: str) -> None:
    page = Page(report(out, read_mixture=gone))
    assert page.text.count("The mixture cannot be shown: the tape was burnt") == 6
    assert len(page.all("audio")) == 6


def test_the_size_of_the_page_is_bounded(out: str) -> None:
    path = report(out, read_mixture=mixture, max_page_bytes=150_000)
    assert Path(path).stat().st_size <= 150_000
    kept = len(Page(path).all("audio"))
    assert 0 < kept < 12
    assert kept % 2 == 0


def test_many_sources_and_many_hours_stay_readable(tmp_path: Path) -> None:
    for hour in range(10):
        member = Member("/tapes/ten hours.wav", seconds=3600.0, start=hour * 3600.0, present=())
        commit_unit(str(tmp_path), f"aa{hour:02}", [member], queries=tuple(f"query{k}" for k in range(30)))
    many = [Member(f"/tapes/{k:03}.wav", seconds=90.0, present=()) for k in range(40)]
    many += [Member(f"/tapes/short {k:03}.wav", seconds=5.0, present=()) for k in range(100)]
    commit_unit(str(tmp_path), "bb00", many, queries=("query0",))
    sign(str(tmp_path))
    path = report(str(tmp_path))
    page = Page(path)
    assert "Not drawn: 57 more tracks, with the least found." in page.text
    assert "10 h 0 min" in page.text
    assert Path(path).stat().st_size < 1_000_000


def test_the_page_is_looked_at_in_a_browser(page: Page, out: str, tmp_path: Path) -> None:
    address = Path(out, "report.html").as_uri()
    Path(out, "report.html").write_text(page.source)
    dumped = chromium(tmp_path, "--dump-dom", address)
    assert dumped.stdout.count("<audio ") == 12
    assert "<title>tape archive" in dumped.stdout
    assert "CONSOLE" not in dumped.stderr  # no script error, nothing refused by the policy
    shot = tmp_path / "page.png"
    chromium(tmp_path, f"--screenshot={shot}", "--window-size=1200,3000", address)
    width, height, colours = png_colours(shot.read_bytes())
    assert (width, height) == (1200, 3000)
    assert colours > 500  # tiles, strips and spectrograms, not a blank sheet


def test_the_players_play_in_a_browser(page: Page, tmp_path: Path) -> None:
    sources = [attributes["src"] for attributes in page.all("audio")][:2]
    players = "".join(
        f'<audio src="{src}" onloadedmetadata="this.title=this.duration" onerror="this.title=\'error\'"></audio>'
        for src in sources
    )
    (tmp_path / "players.html").write_text(players)
    dumped = chromium(tmp_path, "--virtual-time-budget=5000", "--dump-dom", (tmp_path / "players.html").as_uri()).stdout
    seconds = [float(value) for value in re.findall(r'title="([0-9.]+)"', dumped)]
    assert len(seconds) == 2
    assert seconds == pytest.approx([seconds[0]] * 2)
    assert 8.9 < seconds[0] < 10.2


def png_colours(data: bytes) -> tuple[int, int, int]:
    """Width, height and number of different pixels in every tenth line (before filters are undone) of a PNG."""
    width, height = struct.unpack(">II", data[16:24])
    packed, at = b"", 8
    while at < len(data):
        (length,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        packed += data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += length + 12
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, -1)[::10, 1:]
    return width, height, len(np.unique(rows[:, : 3 * width].reshape(-1, 3), axis=0))


def test_the_report_lies_beside_the_data(out: str) -> None:
    assert not [name for name in os.listdir(out) if name.startswith(".")]


def test_failures_of_what_is_gone_or_was_replaced_are_only_counted(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    broken = {"status": "unreadable", "error_class": "empty_file", "message": "0 bytes"}
    members = [Member("/gone.wav", **broken), Member("/mended.wav", **broken), Member("/left.wav", **broken)]
    sign(out)
    commit_unit(out, "aa01", members, run_id="run-1")
    commit_unit(out, "bb02", [Member("/mended.wav", version="v2")], run_id="run-2")
    write_listing(out, "run-2", {"/gone.wav": Whereabouts("run-2", "v1", datetime(2026, 3, 1, tzinfo=UTC))})
    page = Page(report(out, read_mixture=mixture))
    assert "1 ok, 2 unreadable" in page.text
    assert page.text.count("0 bytes") == 1
    assert "Not told of: 2 failures of sources that are gone or have another version since." in page.text
    assert "Not there any more: 1 source." in page.text
