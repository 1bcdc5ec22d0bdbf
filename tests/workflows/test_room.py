"""Room to work in: a container's own limits count, and scratch that takes no file is a problem before a run begins."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from workflows import room
from workflows.container_limits import free_memory_bytes, usable_cores

GIB = 1 << 30


def groups(folder: Path, files: dict[str, str]) -> Path:
    """A tree of control groups, as the kernel shows them."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content + "\n")
    return folder


@pytest.mark.parametrize(
    "files",
    [
        {
            "memory.max": str(GIB),
            "memory.current": str(GIB // 2),
            "memory.stat": f"anon 17\ninactive_file {GIB // 4}\nactive_file 5",
        },
        {
            "memory/memory.limit_in_bytes": str(GIB),
            "memory/memory.usage_in_bytes": str(GIB // 2),
            "memory/memory.stat": f"inactive_file 3\ntotal_inactive_file {GIB // 4}",
        },
    ],
    ids=["version 2", "version 1"],
)
def test_free_memory_is_that_below_the_containers_limit_and_cached_files_count_as_free(
    tmp_path: Path, files: dict[str, str]
) -> None:
    assert psutil.virtual_memory().available > GIB  # else this test could not tell the two apart
    assert free_memory_bytes(groups(tmp_path, files)) == GIB // 2 + GIB // 4


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"memory.max": "max", "memory.current": str(GIB), "cpu.max": "max 100000"},
        {"memory/memory.limit_in_bytes": "9223372036854771712", "cpu/cpu.cfs_quota_us": "-1"},
    ],
    ids=["no groups", "version 2", "version 1"],
)
def test_without_a_limit_memory_and_cores_are_the_machines(tmp_path: Path, files: dict[str, str]) -> None:
    found = groups(tmp_path, files)
    assert free_memory_bytes(found) == pytest.approx(psutil.virtual_memory().available, rel=0.2)
    assert usable_cores(found) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    "files",
    [{"cpu.max": "50000 100000"}, {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}],
    ids=["version 2", "version 1"],
)
def test_half_a_core_is_half_a_core(tmp_path: Path, files: dict[str, str]) -> None:
    assert usable_cores(groups(tmp_path, files)) == 0.5


def test_memory_of_a_small_container_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_memory_bytes", lambda: GIB)
    check = room.check_memory()
    assert check.state == "warning"
    assert check.found.startswith("1.0 GiB free, ")
    assert "give the container more" in check.next_step


@pytest.mark.parametrize("variable", ["SOUNDQUARRY_SCRATCH", "RAY_TMPDIR", "TMPDIR"])
def test_a_working_folder_that_takes_no_file_is_a_problem_that_names_it(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    assert room.check_scratch().state == "ok"
    monkeypatch.setenv(variable, "/proc/soundquarry")
    check = room.check_scratch()
    assert check.state == "problem"
    assert check.found.startswith("/proc takes no file (")
    assert "emptyDir" in check.next_step


def test_a_full_working_folder_is_a_problem(monkeypatch: pytest.MonkeyPatch, tiny_disk: Path) -> None:
    monkeypatch.setenv("SOUNDQUARRY_SCRATCH", str(tiny_disk))
    assert room.check_scratch().state == "ok"
    assert room.check_disk().state == "problem"  # 1 MiB is no room
    with pytest.raises(OSError, match="No space left"), open(tiny_disk / "filler", "wb", buffering=0) as filler:
        while True:
            filler.write(bytes(1 << 16))
    check = room.check_scratch()
    assert (check.state, "No space left" in check.found) == ("problem", True)


def test_looking_at_scratch_leaves_nothing_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOUNDQUARRY_SCRATCH", str(tmp_path / "scratch"))
    assert room.check_scratch().found.startswith(f"{tmp_path} can be written")  # where it would be made
    assert list(tmp_path.iterdir()) == []
