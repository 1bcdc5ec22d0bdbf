"""Reads a Dockerfile as far as its tests need it: stages by name, and their instructions with whole arguments."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Stage:
    """One FROM and what follows it. Flags such as `--from=code` and `--mount=...` are left in the arguments."""

    name: str
    base: str
    instructions: tuple[tuple[str, str], ...]

    def of(self, instruction: str) -> list[str]:
        """The arguments of every instruction of this kind, in order."""
        return [arguments for kind, arguments in self.instructions if kind == instruction]


def instructions(text: str) -> list[tuple[str, str]]:
    """(INSTRUCTION, arguments), without comments, with continued lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    split = [line.partition(" ") for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines()]
    return [(kind.upper(), arguments.strip()) for kind, _, arguments in split]


def read_stages(path: Path) -> dict[str, Stage]:
    """The stages of a Dockerfile by their names, in order; every FROM must name its stage."""
    stages: dict[str, Stage] = {}
    for kind, arguments in instructions(path.read_text(encoding="utf-8")):
        if kind == "FROM":
            base, _, name = re.split(r"\s+(AS)\s+", arguments)
            stages[name] = Stage(name, base, ())
        elif stages:
            last = list(stages.values())[-1]
            stages[last.name] = Stage(last.name, last.base, (*last.instructions, (kind, arguments)))
    return stages


def pairs(arguments: str) -> dict[str, str]:
    """KEY=value of an ENV or a LABEL, quotes taken off."""
    found = re.findall(r'([\w.]+)=("[^"]*"|\S+)', arguments)
    return {key: value.strip('"') for key, value in found}
