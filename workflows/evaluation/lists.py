"""From a file to its mixtures, every row of them checked before the first is separated."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Final

from workflows.evaluation.bimodal_list import PAIR, is_pair_list
from workflows.evaluation.formats import FORMATS, format_of
from workflows.evaluation.mixtures import ListError, Mixture, MixtureList, refuse
from workflows.evaluation.table import RowError, read_table

NAMED: Final = 3
"""So many labels are named in a refusal."""


def read_list(path: Path, root: Path) -> MixtureList:
    """The mixtures of a list, their paths below `root`. Raises ListError with the first problems: what is no number,
    is empty or is not there, each with its line and column."""
    if not path.is_file():
        raise ListError(f"no list at {path}; give a CSV with the columns {', '.join(FORMATS[0].needs)}")
    if not root.is_dir():
        raise ListError(f"--root {root} is no folder; give the one that the list's paths begin in")
    table = read_table(path, columns=PAIR if is_pair_list(path) else None)
    found = format_of(table)
    problems, mixtures = list(table.problems), list[Mixture]()
    read, there = found.reader(table, root), dict[Path, bool]()
    for row in table.rows:
        try:
            of_row = read(row)
        except RowError as error:
            problems.append(f"line {row.line}: {error}")
            continue
        missing = {sound.path: sound for each in of_row for sound in each.sounds if not _is_there(sound.path, there)}
        problems += [
            f"line {row.line}, {sound.column}: no file {sound.path}; check --root" for sound in missing.values()
        ]
        mixtures += [replace(each, row=len(mixtures) + at) for at, each in enumerate(of_row)]
    refuse(path, problems)
    return MixtureList(
        path=path,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        format=found.name,
        mixtures=tuple(mixtures),
        aggregation=found.aggregation(table),
        published=found.published,
        asked_with_negative=found.asked_with_negative,
    )


def check_labels(labels: frozenset[str], listed: MixtureList) -> None:
    """Raises ListError where no target of a list has one of the labels."""
    there = {mixture.label for mixture in listed.mixtures} - {""}
    if labels & there:
        return
    told = (
        f"its classes are {', '.join(sorted(there)[:NAMED])}{' ...' * (len(there) > NAMED)}"
        if there
        else "it tells none"
    )
    named = ", ".join(map(repr, sorted(labels)[:NAMED])) or "nothing"
    raise ListError(
        f"--unseen names {named}, and no target of {listed.path} is of such a class: {told}; one label a line"
    )


def _is_there(path: Path, known: dict[Path, bool]) -> bool:
    """Whether a file is there; lists name the same ones over and over."""
    if path not in known:
        known[path] = path.is_file()
    return known[path]
