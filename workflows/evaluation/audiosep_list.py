"""AudioSep's lists: AudioCaps, AudioSet, Clotho, ESC-50, MUSIC and VGGSound, with its ready-made files or without.

AudioSep tells one number of AudioSet's classes by their medians, of MUSIC's by their means, else the mean of all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from workflows.evaluation.mixtures import Aggregation, MixingRule, Mixture, Sound
from workflows.evaluation.table import ListTable, Row

Reader = Callable[[Row], Sequence[Mixture]]

AUDIOSEP_READY: Final = MixingRule("ready-made, AudioSep's own files at 32 kHz", how="ready", sample_rate=32_000)
AUDIOSEP_RULE: Final = MixingRule(
    "at 0 dB, 10 s at 32 kHz, since AudioSep's ready-made files are not there (our choice)",
    sample_rate=32_000,
    samples=320_000,
)
OF_THE_AUTHORS: Final = ("evaluation", "data")
"""Where AudioSep's paths begin, above the folder of a data set."""


def audiosep_reader(table: ListTable, root: Path) -> Reader:
    """AudioCaps, AudioSet, Clotho, ESC-50, MUSIC. Ready-made files win where the first row's are there: then all of
    them have to be."""
    if _is_audioset(table):
        return _audioset(root)
    is_ready = (root / f"mixture-{table.rows[0].fields['idx'].strip()}.wav").is_file() if table.rows else False
    noise_columns = [name for name in table.columns if name.startswith("noise_wav")]
    classes = "labels" if "labels" in table.columns else "caption" if noise_columns == ["noise_wav"] else None

    def read(row: Row) -> list[Mixture]:
        index = row.text("idx")
        target = Sound(
            root / f"segment-{index}.wav" if is_ready else root / row.text("src_wav"), "idx" if is_ready else "src_wav"
        )
        return [
            Mixture(
                row=0,
                line=row.line,
                target=target,
                noises=tuple(Sound(root / row.text(name), name) for name in noise_columns),
                rule=AUDIOSEP_READY if is_ready else AUDIOSEP_RULE,
                caption=row.text("caption"),
                label=row.fields[classes] if classes else "",
                ready=Sound(root / f"mixture-{index}.wav", "idx") if is_ready else None,
            )
        ]

    return read


def _audioset(root: Path) -> Reader:
    """Its `noise_wav` names the mixture, and its paths begin where the authors' program ran."""

    def place(name: str) -> Path:
        parts = Path(name).parts
        below = (
            Path(*parts[len(OF_THE_AUTHORS) + 1 :]) if parts[: len(OF_THE_AUTHORS)] == OF_THE_AUTHORS else Path(name)
        )
        return root / name if (root / name).is_file() else root / below

    def read(row: Row) -> list[Mixture]:
        return [
            Mixture(
                row=0,
                line=row.line,
                target=Sound(place(row.text("src_wav")), "src_wav"),
                noises=(),
                rule=AUDIOSEP_READY,
                caption=row.text("caption"),
                label=row.text("caption"),
                ready=Sound(place(row.text("noise_wav")), "noise_wav"),
            )
        ]

    return read


def vggsound_reader(table: ListTable, root: Path) -> Reader:
    def read(row: Row) -> list[Mixture]:
        return [
            Mixture(
                row=0,
                line=row.line,
                target=Sound(root / row.text("s0_wav"), "s0_wav"),
                noises=(Sound(root / row.text("s1_wav"), "s1_wav"),),
                rule=AUDIOSEP_READY,
                caption=row.text("s0_text"),
                negative_caption=row.text("s1_text"),
                label=row.text("s0_text"),
                noise_label=row.text("s1_text"),
                ready=Sound(root / row.text("mix_wav"), "mix_wav"),
            )
        ]

    return read


def _is_audioset(table: ListTable) -> bool:
    return (
        bool(table.rows) and table.rows[0].fields["noise_wav"].endswith("mixture.wav")
        if "noise_wav" in table.columns
        else False
    )


def audiosep_aggregation(table: ListTable) -> Aggregation:
    """AudioSep's tables: AudioSet by medians of classes, MUSIC (told by the list's name) by their means."""
    if _is_audioset(table):
        return "class_medians"
    return "class_means" if table.path.stem.startswith("music") else "mean"
