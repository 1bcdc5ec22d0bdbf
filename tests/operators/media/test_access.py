"""Access: what ffmpeg is given to open, for local files, members of archives and remote objects."""

from __future__ import annotations

import errno
from pathlib import Path

import fsspec
import pytest

from operators.failure import SourceFailure, is_transient
from operators.media.access import for_decoding, for_probing
from operators.media.errors import from_error
from operators.media.scratch_cache import ScratchCache
from operators.sources import list_sources


def test_remote_object_is_copied_for_as_long_as_it_is_needed(tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe(f"/{tmp_path.name}/x.wav", b"sound")
    (source,) = list_sources([f"memory://{tmp_path.name}/x.wav"])
    with for_decoding(source.uri, source.version, ScratchCache(tmp_path), timeout_seconds=10) as address:
        copy = Path(address.removeprefix("file:"))
        assert copy.read_bytes() == b"sound"
    assert not copy.exists()


def test_member_of_a_remote_tar_is_copied_alone(tmp_path: Path) -> None:
    archive = b"\0" * 700 + b"sound" + b"\0" * 300
    fsspec.filesystem("memory").pipe(f"/{tmp_path.name}/x.tar", archive)
    (tar,) = list_sources([f"memory://{tmp_path.name}/x.tar"])  # listed as an empty archive: its version counts
    member = (f"tar://a.wav::{tar.uri}", f"{tar.version}@700+5")
    with for_decoding(*member, ScratchCache(tmp_path), timeout_seconds=10) as address:
        assert Path(address.removeprefix("file:")).read_bytes() == b"sound"


def test_name_with_a_colon_is_no_protocol(tmp_path: Path) -> None:
    with for_probing(f"{tmp_path}/http:x.wav", "1", 1) as address:
        assert address == f"file:{tmp_path}/http:x.wav"


@pytest.mark.parametrize(
    ("error", "error_class"),
    [
        (FileNotFoundError("x"), "vanished"),
        (PermissionError("x"), "permission_denied"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (TimeoutError("x"), "timeout"),
        (OSError("An error occurred (SlowDown): Please reduce your request rate."), "throttled"),
        (OSError("An error occurred (503) when calling GetObject"), "throttled"),
        (ConnectionResetError("x"), "connection"),
        (MemoryError(), "out_of_memory"),
    ],
)
def test_error_of_a_store_has_a_name_and_network_trouble_is_tried_again(error: Exception, error_class: str) -> None:
    failure = from_error(error, "s3://bucket/x.wav", "fetch")
    assert failure.error_class == error_class
    assert "s3://bucket/x.wav" in failure.message
    assert is_transient(error_class) == (error_class not in ("vanished", "permission_denied"))


def test_object_that_is_gone_fails_at_the_fetch(tmp_path: Path) -> None:
    with (
        pytest.raises(SourceFailure, match="is gone now") as caught,
        for_decoding("memory:///nowhere.wav", "1", ScratchCache(tmp_path), timeout_seconds=10),
    ):
        pass
    assert caught.value.stage == "fetch"
