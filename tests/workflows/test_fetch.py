"""Fetching one file from a real server: resumed, verified, and plain about what went wrong."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from file_server import FileServer, serving

from workflows import fetch as fetch_module
from workflows.fetch import FetchError, fetch

CONTENT = np.random.default_rng(5).bytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(fetch_module, "FIRST_PAUSE_SECONDS", 0.001)
    with serving({"/weights.bin": CONTENT}) as running:
        yield running


def get(server: FileServer, path: Path, *, size_bytes: int = len(CONTENT), sha256: str = SHA256) -> list[int]:
    """What `heard` was told."""
    told: list[int] = []
    fetch(f"{server.url}/weights.bin", path, size_bytes=size_bytes, sha256=sha256, heard=told.append)
    return told


def test_a_file_comes_whole_under_its_name_and_is_not_fetched_twice(server: FileServer, tmp_path: Path) -> None:
    told = get(server, tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == CONTENT
    assert told[0] == 0
    assert told == sorted(told)
    assert told[-1] == len(CONTENT)
    assert get(server, tmp_path / "w") == [len(CONTENT)]
    assert server.asked == [("/weights.bin", None)]
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


def test_an_interrupted_fetch_asks_only_for_the_rest(server: FileServer, tmp_path: Path) -> None:
    server.cut_after = [1_000_000, 500_000]
    get(server, tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == CONTENT
    assert [span for _, span in server.asked] == [None, "bytes=1000000-", "bytes=1500000-"]


def test_what_an_earlier_command_brought_is_kept(server: FileServer, tmp_path: Path) -> None:
    server.cut_after = [1_000_000] + [0] * 4
    with pytest.raises(FetchError, match=r"stopped after 1,000,000 of 3,000,000 bytes.*run the same command again"):
        get(server, tmp_path / "w")
    assert not (tmp_path / "w").exists()
    assert (tmp_path / "w.part").stat().st_size == 1_000_000
    server.asked.clear()
    assert get(server, tmp_path / "w")[0] == 1_000_000
    assert [span for _, span in server.asked] == ["bytes=1000000-"]
    assert (tmp_path / "w").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_it_all_again(server: FileServer, tmp_path: Path) -> None:
    server.ranges = False
    server.cut_after = [1_000_000]
    get(server, tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_a_busy_server_is_asked_again(server: FileServer, tmp_path: Path) -> None:
    server.statuses = [503, 429]
    get(server, tmp_path / "w")
    assert len(server.asked) == 3
    server.statuses = [503] * 9
    with pytest.raises(FetchError, match=r"stopped after 0 of 3,000,000 bytes .*503"):
        get(server, tmp_path / "other")
    assert len(server.asked) == 3 + fetch_module.TRIES


def test_a_part_that_is_longer_than_the_file_is_begun_anew(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "w.part").write_bytes(bytes(len(CONTENT) + 1))
    get(server, tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == CONTENT


def test_a_part_that_was_spoilt_is_removed_and_the_next_fetch_is_whole(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "w.part").write_bytes(bytes(1000))
    with pytest.raises(FetchError, match=f"sha256 is [0-9a-f]{{64}}, expected {SHA256}.*removed"):
        get(server, tmp_path / "w")
    assert list(tmp_path.iterdir()) == []
    get(server, tmp_path / "w")


def test_a_whole_part_needs_no_request(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "w.part").write_bytes(CONTENT)
    get(server, tmp_path / "w")
    assert server.asked == []
    assert (tmp_path / "w").read_bytes() == CONTENT


def test_a_file_in_place_with_other_bytes_is_replaced(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"<html>not found</html>")
    get(server, tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == CONTENT


@pytest.mark.parametrize("part", [0, 2_999_999])
def test_a_file_of_another_length_is_refused_before_its_bytes_come(
    server: FileServer, tmp_path: Path, part: int
) -> None:
    server.files["/weights.bin"] = CONTENT[:-7]
    (tmp_path / "w.part").write_bytes(CONTENT[:part])
    with pytest.raises(FetchError, match=r"has 2,999,993 bytes, expected 3,000,000: the file there is another one"):
        get(server, tmp_path / "w")


@pytest.mark.parametrize(
    ("status", "said"),
    [(404, "nothing at this address"), (410, "nothing at this address"), (403, "does not give it to us"), (400, "400")],
)
def test_a_refusal_names_the_address_and_the_other_ways(
    server: FileServer, tmp_path: Path, status: int, said: str
) -> None:
    server.statuses = [status]
    with pytest.raises(FetchError, match=said) as caught:
        get(server, tmp_path / "w")
    assert f"{server.url}/weights.bin" in str(caught.value)
    assert "SOUNDQUARRY_MODELS_URL" in str(caught.value)
    assert "soundquarry models import" in str(caught.value)
    assert len(server.asked) == 1


def test_without_a_network_the_host_and_the_other_way_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        host = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(FetchError, match=rf"cannot reach {host} .*no network.*soundquarry models import"):
            fetch(f"http://{host}/w", tmp_path / "w", size_bytes=1, sha256="")


def test_a_full_disk_is_told_and_what_came_is_kept(server: FileServer, tiny_disk: Path) -> None:
    with pytest.raises(FetchError, match=rf"no space left in {tiny_disk}: 2.0 MB more are needed"):
        get(server, tiny_disk / "w")
    assert [path.name for path in tiny_disk.iterdir()] == ["w.part"]
    came = (tiny_disk / "w.part").read_bytes()
    assert len(came) > 500_000
    assert CONTENT.startswith(came)


def test_a_server_that_sends_the_same_beginning_again_and_again_is_given_up(server: FileServer, tmp_path: Path) -> None:
    server.ranges = False
    server.cut_after = [100_000, 200_000] * 20
    with pytest.raises(FetchError, match=r"stopped after 200,000 of 3,000,000 bytes"):
        get(server, tmp_path / "w")
    assert len(server.asked) == 1 + fetch_module.TRIES  # the second try came further than the first
