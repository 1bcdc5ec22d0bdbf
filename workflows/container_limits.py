"""What a container leaves of the machine: memory and cores, as far as the kernel's control groups limit them.

psutil and os.cpu_count tell those of the whole machine, inside of a container too that may use a tenth of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

CONTROL_GROUPS: Final = Path("/sys/fs/cgroup")
MEMORY_FILES: Final = (  # limit, use, and the part of the use that is cached files, which the kernel drops when asked
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


def free_memory_bytes(groups: Path = CONTROL_GROUPS) -> int:
    """Memory that is free now: on the machine, or below the container's limit where that is less."""
    import psutil

    free = int(psutil.virtual_memory().available)
    for limit, used, statistics, cached in MEMORY_FILES:
        most = _number(groups / limit)
        if most is not None:
            taken = (_number(groups / used) or 0) - _statistic(groups / statistics, cached)
            free = min(free, max(0, most - taken))
    return free


def usable_cores(groups: Path = CONTROL_GROUPS) -> float:
    """Cores this process may use: those it may be scheduled on, or the container's share of time if that is less."""
    cores = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    quota, _, period = _text(groups / "cpu.max").partition(" ")
    if not period:  # version 1 of the control groups
        quota, period = _text(groups / "cpu/cpu.cfs_quota_us"), _text(groups / "cpu/cpu.cfs_period_us")
    if quota.isdigit() and period.isdigit():  # "max" or "-1" is no limit
        cores = min(cores, int(quota) / int(period))
    return cores


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdigit() else None


def _statistic(path: Path, name: str) -> int:
    rows = dict(line.split(" ", 1) for line in _text(path).splitlines())
    return int(rows.get(name, 0))


def _text(path: Path) -> str:
    """The file's content, empty where there is no such file: outside of a container, or on another system."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
