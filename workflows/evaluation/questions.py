"""What is asked of every mixture: its caption, a recording of the same kind of sound, a query for what is not there.

Chosen before anything is separated, from the whole list and by the row's number alone: the same row is asked the same,
whatever the workers and `--limit`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from workflows.evaluation.mixtures import ListError, Mixture, MixtureList, refuse
from workflows.evaluation.table import read_table

QueryKind = Literal["text", "audio", "both"]
AUDIO_SUFFIXES: Final = (".wav", ".flac", ".ogg", ".mp3")
SEED: Final = 0
EXEMPLARS: Final = (
    "give recordings with --exemplars: a folder with one subfolder per class, or a CSV with the columns label and path"
)

Pool = Mapping[str, Sequence[Path]]
"""Recordings by the class they are of."""


@dataclass(frozen=True)
class Question:
    """A mixture and what the network is given. `sound`, `negative_sound`: recordings, where audio is asked with;
    `absent`: words for a class that is not in the mixture, where that is tried."""

    mixture: Mixture
    text: str | None
    negative_text: str | None = None
    sound: Path | None = None
    negative_sound: Path | None = None
    absent: str | None = None


@dataclass(frozen=True)
class Asking:
    """How a list is asked: with words, recordings or both; with what is not wanted too; for what is absent too."""

    query: QueryKind = "text"
    negative: bool = False
    absent: bool = False
    exemplars: Path | None = None


def questions_of(listed: MixtureList, root: Path, asking: Asking, limit: int | None = None) -> list[Question]:
    """One question per mixture, of the first `limit`. Raises ListError for rows that cannot be asked like this."""
    with_sound = asking.query != "text"
    pool = exemplar_pool(listed, root, asking.exemplars) if with_sound else {}
    phrases = _phrases(listed.mixtures) if asking.absent else {}
    problems, questions = list[str](), list[Question]()
    for mixture in listed.mixtures[:limit]:
        generator = np.random.default_rng([SEED, mixture.row])
        sound = _choose(pool.get(mixture.label, ()), mixture, generator) if with_sound else None
        other = _choose(pool.get(mixture.noise_label, ()), mixture, generator) if with_sound else None
        absent = _absent(phrases, mixture, generator) if asking.absent else None
        if with_sound and sound is None:
            problems.append(_no_recording(mixture, mixture.label, "target"))
        if with_sound and asking.negative and other is None:
            problems.append(_no_recording(mixture, mixture.noise_label, "noise"))
        if asking.absent and absent is None:
            problems.append(f"line {mixture.line}: every class of the list is in this mixture, none can be absent")
        in_words = asking.query != "audio"
        questions.append(
            Question(
                mixture,
                text=mixture.caption if in_words else None,
                negative_text=(mixture.negative_caption or None) if in_words and asking.negative else None,
                sound=sound,
                negative_sound=other if asking.negative else None,
                absent=absent,
            )
        )
    refuse(listed.path, problems, EXEMPLARS if with_sound else "")
    return questions


def exemplar_pool(listed: MixtureList, root: Path, exemplars: Path | None) -> Pool:
    """Recordings by class: a folder's subfolders, a CSV's rows (label, path; or CLAPSep's class, file with a list of
    names), their paths below `root`; None: the targets of the list itself."""
    if exemplars is None:
        return _grouped((mixture.label, mixture.target.path) for mixture in listed.mixtures)
    if exemplars.is_dir():
        files = sorted(exemplars.glob("*/*"))
        pool = _grouped((each.parent.name, each) for each in files if each.suffix.lower() in AUDIO_SUFFIXES)
    elif exemplars.is_file():
        pool = _of_csv(exemplars, root)
    else:
        raise ListError(f"--exemplars {exemplars} is neither a folder nor a CSV")
    if not pool:
        raise ListError(f"--exemplars {exemplars} holds no recording; a folder needs one subfolder per class")
    return pool


def _of_csv(path: Path, root: Path) -> Pool:
    table = read_table(path)
    names = next((pair for pair in (("label", "path"), ("class", "file")) if set(pair) <= set(table.columns)), None)
    if names is None:
        raise ListError(
            f"--exemplars {path} has the columns {', '.join(table.columns)}; it needs label and path, or class and file"
        )
    label, file = names
    pairs = [(row.line, row.fields[label], root / name) for row in table.rows for name in _names(row.fields[file])]
    missing = [f"line {line}, {file}: no file {place}; check --root" for line, _, place in pairs if not place.is_file()]
    refuse(path, [*table.problems, *missing])
    return _grouped((name, place) for _, name, place in pairs)


def _names(field: str) -> list[str]:
    """The file names in a field: one, or several written as a list in Python."""
    if not field.startswith("["):
        return [field]
    try:
        return [str(name) for name in ast.literal_eval(field)]
    except (SyntaxError, ValueError):
        return [field]


def _grouped(pairs: Iterable[tuple[str, Path]]) -> dict[str, list[Path]]:
    groups: dict[str, dict[Path, None]] = {}
    for label, path in pairs:
        if label:
            groups.setdefault(label, {})[path] = None
    return {label: list(paths) for label, paths in groups.items()}


def _choose(paths: Sequence[Path], mixture: Mixture, generator: np.random.Generator) -> Path | None:
    """One of the recordings that is none of the mixture's own."""
    own = {sound.path for sound in (mixture.target, *mixture.noises)}
    others = [path for path in paths if path not in own]
    return others[int(generator.integers(len(others)))] if others else None


def _no_recording(mixture: Mixture, label: str, of: str) -> str:
    if not label:
        return f"line {mixture.line}: the list tells no class of the {of}, so no recording can stand for it"
    return f"line {mixture.line}: no other recording of {label!r} (the {of})"


def _phrases(mixtures: Sequence[Mixture]) -> dict[str, str]:
    """Words for every class of a list, or for every caption where it tells no classes."""
    phrases: dict[str, str] = {}
    for mixture in mixtures:
        phrases.setdefault(mixture.label or mixture.caption, mixture.caption)
        if mixture.negative_caption:
            phrases.setdefault(mixture.noise_label or mixture.negative_caption, mixture.negative_caption)
    return phrases


def _absent(phrases: Mapping[str, str], mixture: Mixture, generator: np.random.Generator) -> str | None:
    there = {mixture.label, mixture.caption, mixture.noise_label, mixture.negative_caption}
    others = [words for label, words in phrases.items() if label not in there and words not in there]
    return others[int(generator.integers(len(others)))] if others else None
