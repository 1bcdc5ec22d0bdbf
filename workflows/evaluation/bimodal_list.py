"""BiModalAudioSeparation's lists of two sounds (`test_sep_2.csv`): no header, two files or two ids in a row.

Both sounds are asked for in turn, so a row is two mixtures. A mixture is the mean of the two, 131070 samples at 16 kHz.
What a file sounds like: its folder (MUSIC), or the line of `test.csv` beside the list (VGGSound: file, class), or of
`test.csv` and `val.csv` (AudioCaps: the id, youtube_id, start_time and caption).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from workflows.evaluation.mixtures import MixingRule, Mixture, Sound
from workflows.evaluation.table import ListTable, Row, RowError

PAIR: Final = ("first sound", "second sound")
"""What its two columns are called here."""
SUFFIXES: Final = (".wav", ".mp3", ".flac", ".ogg")
VGGSOUND_CENTRE_SECONDS: Final = 4.5
RATE: Final = 16_000
SAMPLES: Final = 131_070
OF_CLASSES: Final = MixingRule(
    "mean of both, 8.19 s at 16 kHz around the middle, short files repeated, as BiModalAudioSeparation does",
    how="mean", sample_rate=RATE, samples=SAMPLES, repeats=True,
)  # fmt: skip
OF_CAPTIONS: Final = MixingRule(
    "mean of both, the middle 8.19 s at 16 kHz, as BiModalAudioSeparation does",
    how="mean", sample_rate=RATE, samples=SAMPLES,
)  # fmt: skip


@dataclass(frozen=True)
class _Known:
    """What is known of a sound: file below the root, class or caption, where its middle is."""

    file: str
    label: str
    caption: str
    rule: MixingRule
    centre_seconds: float | None = None


def is_pair_list(path: Path) -> bool:
    """Whether the first line of a file is no header but two sounds."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        first = next(csv.reader(file), [])
    return len(first) == 2 and all(
        entry.strip().lower().endswith(SUFFIXES) or entry.strip().isdecimal() for entry in first
    )


def bimodal_reader(table: ListTable, root: Path) -> Callable[[Row], Sequence[Mixture]]:
    """What makes the two mixtures of a row."""
    index = _index_beside(table.path)

    def read(row: Row) -> list[Mixture]:
        known = [_known(row.text(column), column, index) for column in PAIR]
        sounds = [
            Sound(root / each.file, column, each.centre_seconds, is_centred=True)
            for each, column in zip(known, PAIR, strict=True)
        ]
        return [
            Mixture(
                row=0,
                line=row.line,
                target=sounds[one],
                noises=(sounds[other],),
                rule=known[one].rule,
                caption=known[one].caption,
                negative_caption=known[other].caption,
                label=known[one].label,
                noise_label=known[other].label,
            )
            for one, other in ((0, 1), (1, 0))
        ]

    return read


def _known(entry: str, column: str, index: dict[str, _Known]) -> _Known:
    entry = entry.replace(" ", "")
    if entry in index:
        return index[entry]
    parts = entry.strip("/").split("/")
    if len(parts) < 2:
        raise RowError(
            f"{column}: nothing says what {entry!r} sounds like; put the test.csv that the list was made from (and for "
            "AudioCaps its val.csv) beside the list"
        )
    return _of_class(entry, parts[0])


def _of_class(entry: str, label: str, centre_seconds: float | None = None) -> _Known:
    return _Known(entry.strip("/"), label, f"The sound of {label.replace('_', ' ')}", OF_CLASSES, centre_seconds)


def _index_beside(path: Path) -> dict[str, _Known]:
    """What `test.csv` and `val.csv` beside the list say; nothing where there are none."""
    index: dict[str, _Known] = {}
    for name in ("test.csv", "val.csv"):
        beside = path.with_name(name)
        if beside == path or not beside.is_file():
            continue
        with beside.open(encoding="utf-8-sig", newline="") as file:
            for fields in csv.reader(file):
                if len(fields) > 1 and (known := _of_fields(fields)) is not None:
                    index.setdefault(fields[0], known)
    return index


def _of_fields(fields: Sequence[str]) -> _Known | None:
    """MUSIC: file, frames, their number (one a second). AudioCaps: id, video, start, caption. Else: file, class."""
    first = fields[0]
    if first.isdecimal() and len(fields) >= 4:
        caption = ",".join(fields[3:])
        return _Known(f"{fields[1]}_{fields[2]}.wav", "", caption, OF_CAPTIONS)
    if not first.lower().endswith(SUFFIXES):
        return None  # a header
    if len(fields) == 3 and fields[2].isdecimal() and first.startswith("/"):
        return _of_class(first, first.split("/")[1], int(fields[2]) // 2 + 0.5)
    return replace(_of_class(first, ",".join(fields[1:])), centre_seconds=VGGSOUND_CENTRE_SECONDS)
