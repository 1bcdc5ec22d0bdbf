"""What the doctor says of one thing: what was looked at, what was found, what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Check:
    """What was looked at, what was found, and what to do about it (empty when all is well)."""

    name: str
    state: State
    found: str
    next_step: str = ""


def size_text(size_bytes: float) -> str:
    """`"1.5 GiB"`, or `"64 MiB"` below one."""
    return f"{size_bytes / 2**30:.1f} GiB" if size_bytes >= 2**30 else f"{size_bytes / 2**20:.0f} MiB"
