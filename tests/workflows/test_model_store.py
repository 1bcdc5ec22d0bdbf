"""A model's file is made beside its place, by one writer at a time; what a killed one left goes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from workflows.model_store import making, part_folder, sweep


def make_half(out: Path, begun: Event) -> None:
    """Writes half of a file, and then nothing more."""
    with making(out, 0) as part:
        part.with_name("half").write_bytes(bytes(1000))
        begun.set()
        signal.pause()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_writer_left_is_removed_by_the_next_and_not_before_it_is_dead(tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    fork = multiprocessing.get_context("fork")
    begun = fork.Event()
    writer = fork.Process(target=make_half, args=(out, begun))
    writer.start()
    try:
        assert begun.wait(30)
        with pytest.raises(OSError, match=f"another import makes {out} just now"), making(out, 0):
            pass
        sweep(out)
        assert names(part_folder(out)) == ["half"]
    finally:
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join(30)
    assert names(part_folder(out)) == ["half"]
    with making(out, 0) as part:
        assert names(part.parent) == []
        part.write_bytes(b"whole")
    assert names(tmp_path) == [out.name]
    assert out.read_bytes() == b"whole"


def test_leftovers_are_swept_without_making_anything(tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    part_folder(out).mkdir()
    (part_folder(out) / "half").touch()
    sweep(out)
    sweep(out)
    assert names(tmp_path) == []


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    out.write_bytes(b"earlier")
    with pytest.raises(ValueError, match="no"), making(out, 0) as part:
        part.write_bytes(b"half")
        raise ValueError("no")
    assert names(tmp_path) == [out.name]
    assert out.read_bytes() == b"earlier"
