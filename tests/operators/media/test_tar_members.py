"""Tars: hard links, sparse files and symbolic links, as GNU tar and Python write them."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from made_archives import bytes_of, listed, problems

from operators.media import tar_members
from operators.sources import list_sources

SOUND = b"some sound " * 500


def tar_with_links(members: list[tuple[str, str]]) -> bytes:
    """Names, each with the name that it is a hard link to, or with nothing: then it is a file."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for name, target in members:
            info = tarfile.TarInfo(name)
            if target:
                info.type, info.linkname = tarfile.LNKTYPE, target
                archive.addfile(info)
            else:
                info.size = len(SOUND)
                archive.addfile(info, io.BytesIO(SOUND))
    return whole.getvalue()


def test_hard_link_is_a_second_name_of_the_same_bytes(tmp_path: Path) -> None:
    first, notes, second, third, last = listed(
        tmp_path / "x.tar",
        tar_with_links([("a.wav", ""), ("blob.mp3", ""), ("b.wav", "a.wav"), ("c.wav", "a.wav"), ("z.wav", "")]),
    )
    assert [s.uri for s in (second, third)] == [f"tar://{name}.wav::{tmp_path}/x.tar" for name in "bc"]
    assert first.version == second.version == third.version != notes.version
    assert [bytes_of(s, tmp_path) for s in (second, third, last)] == [SOUND] * 3


def test_hard_link_to_what_is_not_remembered_is_a_row_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tar_members, "REMEMBERED_FILES", 2)
    data = tar_with_links([("a.wav", ""), ("b.wav", ""), ("c.wav", ""), ("d.wav", "a.wav"), ("e.wav", "b.wav")])
    sources = listed(tmp_path / "x.tar", data)
    assert problems(sources)[3:] == [("d.wav", "hard_link"), ("e.wav", None)]
    assert sources[3].problem is not None
    assert "hard link to a.wav" in sources[3].problem.message
    assert "--hard-dereference" in sources[3].problem.message


@pytest.mark.skipif(shutil.which("tar") is None, reason="no tar program on this machine")
@pytest.mark.parametrize("form", ["gnu", "posix"])
def test_sparse_member_is_a_row_that_says_what_to_do(tmp_path: Path, form: str) -> None:
    with open(tmp_path / "holes.wav", "wb") as file:
        file.write(SOUND)
        file.seek(1 << 20)
        file.write(SOUND)
    (tmp_path / "a.wav").write_bytes(SOUND)
    os.link(tmp_path / "holes.wav", tmp_path / "z.wav")
    os.symlink("a.wav", tmp_path / "link.wav")
    names = ["a.wav", "holes.wav", "link.wav", "z.wav"]
    command = ["tar", "--sparse", f"--format={form}", "-cf", "x.tar", *names]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    sources = list(list_sources([str(tmp_path / "x.tar")]))
    assert problems(sources) == [("a.wav", None), ("holes.wav", "sparse_member"), ("z.wav", "sparse_member")]
    assert sources[1].problem is not None
    assert "without --sparse" in sources[1].problem.message
