"""The scratch cache: one fetch per version, whole files only, the longest unused goes first."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import BinaryIO

import pytest

from operators.media.scratch_cache import ScratchCache


def cached(directory: Path) -> list[int]:
    return sorted(path.stat().st_size for path in directory.iterdir() if not path.suffix)


def test_version_is_fetched_once_by_many_at_a_time(tmp_path: Path) -> None:
    fetched = []

    def fetch(file: BinaryIO) -> None:
        fetched.append(1)
        time.sleep(0.1)
        file.write(b"sound")

    def use() -> None:
        with ScratchCache(tmp_path).entry("s3://b/x", "1", fetch) as path:
            seen.append(path.read_bytes())

    seen: list[bytes] = []
    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (seen, len(fetched)) == ([b"sound"] * 6, 1)
    with ScratchCache(tmp_path).entry("s3://b/x", "2", fetch):
        assert len(fetched) == 2


def test_fetch_that_fails_leaves_nothing_and_is_tried_again(tmp_path: Path) -> None:
    def fetch(file: BinaryIO) -> None:
        file.write(b"half")
        raise ConnectionResetError

    cache = ScratchCache(tmp_path)
    with pytest.raises(ConnectionResetError), cache.entry("x", "1", fetch):
        pass
    assert cached(tmp_path) == []
    with cache.entry("x", "1", lambda file: file.write(b"whole") and None) as path:
        assert path.read_bytes() == b"whole"


def test_longest_unused_goes_first_and_what_is_in_use_stays(tmp_path: Path) -> None:
    cache = ScratchCache(tmp_path, limit_bytes=100)

    def fill(name: str, size: int, used_at: float) -> None:
        with cache.entry(name, "1", lambda file: file.write(b"x" * size) and None) as path:
            pass
        os.utime(path, (used_at, used_at))

    fill("old", 31, 1)
    fill("newer", 32, 2)
    fill("newest", 33, 3)
    with cache.entry("old", "1", lambda file: None) as held:
        os.utime(held, (1, 1))
        fill("big", 60, 4)
    assert cached(tmp_path) == [31, 60]
