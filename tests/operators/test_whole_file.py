from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from operators.whole_file import WholeFile, find_temporary, place, sweep_temporary, write_whole


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    with WholeFile(tmp_path / "sub" / "a.bin") as whole:
        whole.file.write(b"whole")
        whole.file.flush()
        assert not (tmp_path / "sub" / "a.bin").exists()
        whole.publish()
    assert files_below(tmp_path) == ["sub/a.bin"]
    assert (tmp_path / "sub" / "a.bin").read_bytes() == b"whole"


def test_without_publish_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), WholeFile(tmp_path / "a.bin") as whole:
        whole.file.write(b"half")
        raise RuntimeError
    assert files_below(tmp_path) == []


def test_an_exclusive_file_refuses_to_replace_another(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.bin", b"first")
    with WholeFile(tmp_path / "a.bin") as whole:
        whole.file.write(b"second")
        with pytest.raises(FileExistsError):
            whole.publish(exclusive=True)
    assert files_below(tmp_path) == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"first"
    write_whole(tmp_path / "a.bin", b"third")
    assert (tmp_path / "a.bin").read_bytes() == b"third"


def test_relative_and_odd_names_become_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_whole("out/päth with 'quotes' [1]/x.bin", b"x")
    assert files_below(tmp_path) == ["out/päth with 'quotes' [1]/x.bin"]
    assert list(place("out").find(".bin")) == [str(tmp_path / "out/päth with 'quotes' [1]/x.bin")]


def test_a_sweep_takes_what_killed_writers_left_and_nothing_of_the_living(tmp_path: Path) -> None:
    script = "import sys, time; from operators.whole_file import WholeFile; w = WholeFile(sys.argv[1]);"
    script += "w.file.write(b'x'); w.file.flush(); print('ready', flush=True); time.sleep(60)"
    writers = [
        subprocess.Popen([sys.executable, "-c", script, tmp_path / f"{name}.bin"], stdout=subprocess.PIPE)
        for name in ("killed", "living")
    ]
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
        writers[0].kill()
        writers[0].wait()
        assert len(find_temporary(tmp_path)) == 2
        assert sweep_temporary(tmp_path, older_than_seconds=3600) == []  # too young
        long_ago = time.time() - 7200
        for path in find_temporary(tmp_path):
            os.utime(path, (long_ago, long_ago))
        (swept,) = sweep_temporary(tmp_path, older_than_seconds=3600)
        assert swept.name.startswith(".killed.bin.")
        (left,) = find_temporary(tmp_path)
        assert left.name.startswith(".living.bin.")
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
            assert writer.stdout is not None
            writer.stdout.close()
