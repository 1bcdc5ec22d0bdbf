"""Clips for training, read into memory as a `ClipLibrary`: recordings at the network's rate, and sounds that are made.

A recording that cannot be read is left out, counted and told of; nothing else is left out silently.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from model.synthesis import SYNTHESIS_CAPTIONS, synthesise
from model.training.clips import Clip, ClipLibrary, content_position
from model.training.wordings import FURTHER_WORDINGS, GROUPS
from operators.excerpt import MixtureReader
from operators.failure import SourceFailure
from operators.source import place_of, version_of
from workflows.training.clip_list import SYNTHESIS, ClipList, ClipRow, ClipRules, TrainingDataError, list_clips
from workflows.training.played import PLAYED_CAPTIONS, check_instruments, play
from workflows.training.spoken import SPOKEN_CAPTIONS, check_speech, speak

LONGEST_SECONDS: Final = 60.0
"""Of a longer recording so much is kept, from its beginning. Our choice: a crop of a few seconds is drawn from it."""
READERS: Final = 4
MADE_SECONDS: Final = 5.0
"""Length of a sound that is made."""
SILENT_PEAK: Final = 3
"""Of int16, -80 dBFS: a clip that stays below has nothing to be separated."""


@dataclass(frozen=True)
class Maker:
    """Makes sounds of the labels of `captions`: `make(label, seconds, sample_rate, generator)` gives one draw. `check`
    raises TrainingDataError where a program that it needs is missing."""

    captions: Mapping[str, Sequence[str]]
    make: Callable[[str, float, int, np.random.Generator], NDArray[np.float32]]
    check: Callable[[], object] = lambda: None


MAKERS: Final = {
    SYNTHESIS: Maker(SYNTHESIS_CAPTIONS, synthesise),
    "speech": Maker(SPOKEN_CAPTIONS, speak, check_speech),
    "instruments": Maker(PLAYED_CAPTIONS, play, check_instruments),
}
"""By their names in `MADE`."""


@dataclass(frozen=True)
class Gathered:
    """A library, what was left out by reason, and recordings that could not be read (URI, message)."""

    library: ClipLibrary
    left_out: dict[str, int]
    unreadable: list[tuple[str, str]]


def gather(
    data: Sequence[str],
    rules: ClipRules,
    sample_rate: int,
    *,
    synthetic_per_label: int = 12,
    seed: int = 7,
    on_read: Callable[[int, int], None] = lambda done, of: None,
) -> Gathered:
    """The library of every allowed clip of `data`, at `sample_rate`; of the sounds that are made so many each.

    Raises TrainingDataError for data that cannot be used as a whole.
    """
    check_makers(data)
    listed = list_clips(data, rules)
    clips: list[Clip] = []
    unreadable: list[tuple[str, str]] = []
    silent = 0
    with ThreadPoolExecutor(READERS) as pool:
        for row, read in zip(listed.rows, pool.map(lambda row: _read(row, sample_rate), listed.rows), strict=True):
            if isinstance(read, str):
                unreadable.append((row.uri, read))
            elif np.abs(read.astype(np.int32)).max() <= SILENT_PEAK:
                silent += 1
            else:
                clips.append(Clip(row.label, read, row.caption, row.group))
            on_read(len(clips) + len(unreadable) + silent, len(listed.rows))
    left_out = dict(listed.left_out) | ({"silence": silent} if silent else {})
    for kind in dict.fromkeys(listed.made):
        clips += _made(MAKERS[kind], rules.held_out_labels, sample_rate, synthetic_per_label, seed)
    if not clips:
        first = ": ".join(unreadable[0]) if unreadable else "all are silent"
        raise TrainingDataError(f"none of {len(listed.rows)} recordings can be trained on (first: {first})")
    return Gathered(_library(clips, listed, rules.held_out_labels), left_out, unreadable)


def check_makers(data: Sequence[str]) -> None:
    """Raises TrainingDataError where sounds are to be made and a program for it is missing."""
    for uri in data:
        if uri in MAKERS:
            MAKERS[uri].check()


def split_off(library: ClipLibrary, share: float) -> tuple[ClipLibrary, ClipLibrary]:
    """(clips to train on, clips to validate on): the latter about `share` of all, chosen by their content alone; clips
    of one group stay together.

    Of a label with several groups some are kept to train on. Raises TrainingDataError where too few labels are left on
    one side.
    """
    chosen = [content_position(clip, "validation") < share for clip in library.clips]
    for of_label in library.of_label.values():
        if all(chosen[index] for index in of_label):
            groups = {_group(library.clips[index]) for index in of_label}
            if len(groups) > 1:
                kept = _group(library.clips[of_label[0]])
                chosen = [held and _group(clip) != kept for held, clip in zip(chosen, library.clips, strict=True)]
    held = {id(clip) for clip, is_held in zip(library.clips, chosen, strict=True) if is_held}
    training, validation = (
        library.only(lambda clip: id(clip) not in held),
        library.only(lambda clip: id(clip) in held),
    )
    for what, part in (("train", training), ("validate", validation)):
        if len(part.labels) < 2:
            raise TrainingDataError(
                f"of {len(library.clips)} clips of {len(library.labels)} labels, {share:.0%} for validation, "
                f"{len(part.clips)} clips of {len(part.labels)} labels are left to {what} on, which needs 2 labels at "
                "least; give --validation, more clips, or another --validation-share"
            )
    return training, validation


def _group(clip: Clip) -> str | int:
    return clip.group or id(clip)


def digest_of(library: ClipLibrary) -> str:
    """Hash of what a library's clips are: labels, captions and sounds, in their order."""
    digest = hashlib.sha256()
    for clip in library.clips:
        digest.update(f"{clip.label}\n{clip.caption}\n{len(clip.sound)}\n".encode())
        digest.update(clip.sound.tobytes())
    return digest.hexdigest()


def refuse_shared(training: ClipLibrary, validation: ClipLibrary) -> None:
    """Raises TrainingDataError where a clip to validate on is one to train on, too."""
    known = {hashlib.sha256(clip.sound.tobytes()).digest() for clip in training.clips}
    shared = sum(hashlib.sha256(clip.sound.tobytes()).digest() in known for clip in validation.clips)
    if shared:
        raise TrainingDataError(
            f"{shared} of {len(validation.clips)} clips to validate on are clips to train on as well; give other "
            "--validation, or leave it out to hold a share of the clips out"
        )


def _library(clips: list[Clip], listed: ClipList, held_out: frozenset[str]) -> ClipLibrary:
    wordings = {label: list(words) for label, words in listed.wordings.items()}
    for kind in listed.made:
        for label, words in MAKERS[kind].captions.items():
            if label not in held_out:
                wordings.setdefault(label, []).extend(words)
    for label, words in FURTHER_WORDINGS.items():
        if label in wordings:
            wordings[label].extend(words)
    unique = {label: sorted(set(words)) for label, words in wordings.items()}
    groups = {
        name: ([label for label in labels if label not in held_out], words) for name, (labels, words) in GROUPS.items()
    }
    return ClipLibrary(clips, unique, groups, captioned=False)


def _made(maker: Maker, held_out: frozenset[str], sample_rate: int, per_label: int, seed: int) -> list[Clip]:
    asked = [(label, draw) for label in maker.captions if label not in held_out for draw in range(per_label)]

    def make(label: str, draw: int) -> Clip:
        generator = np.random.default_rng([seed, draw, *label.encode()])
        return Clip(label, _whole_numbers(maker.make(label, MADE_SECONDS, sample_rate, generator)))

    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda one: make(*one), asked))


def _read(row: ClipRow, sample_rate: int) -> NDArray[np.int16] | str:
    """The mean of a recording's channels at `sample_rate`, or what is wrong with it."""
    try:
        fs, path = place_of(row.uri)
        info = fs.info(path)
        sound = _decoded(row.uri, fs.cat_file(path), version_of(info), sample_rate)
    except (OSError, SourceFailure) as error:
        said = f"{type(error).__name__}: {error}" if isinstance(error, OSError) else str(error)
        return said.replace(" with --retry-failed", "")  # here every run tries all
    return _whole_numbers(sound) if len(sound) else "it holds no sound"


def _decoded(uri: str, content: bytes, version: str, sample_rate: int) -> NDArray[np.float32]:
    """Sound files by libsndfile, which is quick; everything else as in `extract`, by ffmpeg."""
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            sound, rate = (
                file.read(round(LONGEST_SECONDS * file.samplerate), dtype="float32", always_2d=True),
                file.samplerate,
            )
    except soundfile.LibsndfileError:
        stretch: Any = MixtureReader()(uri, version, 0, 0.0, LONGEST_SECONDS, sample_rate)
        return np.asarray(stretch.mean(axis=0), np.float32)
    mono = np.ascontiguousarray(sound.mean(axis=1), dtype=np.float32)
    return mono if rate == sample_rate else soxr.resample(mono, rate, sample_rate).astype(np.float32)


def _whole_numbers(sound: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.round(np.clip(sound, -1.0, 1.0) * 32767.0).astype(np.int16)
