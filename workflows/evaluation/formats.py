"""The lists that can be read, recognised by their columns: ours, and those that were published with other systems.

A format is what its columns are, and a function that makes mixtures of a row. How each was mixed by its authors is in
`MixingRule.about`, and goes into the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workflows.evaluation.audiosep_list import audiosep_aggregation, audiosep_reader, vggsound_reader
from workflows.evaluation.bimodal_list import PAIR, bimodal_reader
from workflows.evaluation.mixtures import Aggregation, ListError, MixingRule, Mixture, Sound
from workflows.evaluation.table import ListTable, Row

Reader = Callable[[Row], Sequence[Mixture]]
"""Mixtures of one row, their `row` not yet counted. Raises RowError."""

OWN_RULE: Final = MixingRule("at the row's SNR, the shorter sound followed by silence")
CLAPSEP_RULE: Final = MixingRule(
    "at 0 dB, the first 10 s of each at 32 kHz, as CLAPSep does", sample_rate=32_000, samples=320_000
)
DCASE_RULE: Final = MixingRule("at the row's SNR at 16 kHz, as DCASE 2024 task 9 does", sample_rate=16_000)


@dataclass(frozen=True)
class ListFormat:
    """One kind of list. `needs`: its columns, alternatives in one name with a `|` between them."""

    name: str
    needs: tuple[str, ...]
    reader: Callable[[ListTable, Path], Reader]
    published: tuple[str, ...]
    aggregation: Callable[[ListTable], Aggregation] = lambda table: "mean"

    def fits(self, columns: Sequence[str]) -> bool:
        """Whether a list of these columns is one of this kind."""
        return all(_has(columns, need) for need in self.needs)


def format_of(table: ListTable) -> ListFormat:
    """The format of a list. Raises ListError that says what was found, and what every format needs."""
    fitting = [known for known in FORMATS if known.fits(table.columns)]
    if not fitting:
        known = "\n  ".join(f"{each.name}: {', '.join(each.needs)}" for each in FORMATS)
        nearest = max(FORMATS, key=lambda each: sum(_has(table.columns, need) for need in each.needs))
        missing = [need for need in nearest.needs if not _has(table.columns, need)]
        raise ListError(
            f"{table.path} has the columns {', '.join(table.columns)}, and is no list that is known; as one of the "
            f"kind {nearest.name} it lacks the columns {', '.join(missing)}. What each kind needs:\n  {known}"
        )
    return fitting[0]


def _has(columns: Sequence[str], need: str) -> bool:
    return any(name in columns for name in need.split("|"))


def _own(table: ListTable, root: Path) -> Reader:
    def read(row: Row) -> list[Mixture]:
        return [
            Mixture(
                row=0,
                line=row.line,
                target=Sound(root / row.text("target_path"), "target_path"),
                noises=(Sound(root / row.text("noise_path"), "noise_path"),),
                rule=OWN_RULE,
                caption=row.text("caption"),
                negative_caption=row.fields.get("negative_caption", ""),
                label=row.fields.get("target_label", ""),
                noise_label=row.fields.get("noise_label", ""),
                snr_db=row.number("snr_db"),
            )
        ]

    return read


def _clapsep(table: ListTable, root: Path) -> Reader:
    files_of: dict[str, set[str]] = {}
    for row in table.rows:
        files_of.setdefault(row.fields["positive_caption"], set()).add(row.fields["source_file"])

    def label(caption: str) -> str:
        """A caption that stands with several files is a class ("the sound of dog"), another one a sentence."""
        return caption if len(files_of.get(caption, ())) > 1 else ""

    def read(row: Row) -> list[Mixture]:
        positive, negative = row.text("positive_caption"), row.text("negative_caption")
        return [
            Mixture(
                row=0,
                line=row.line,
                target=Sound(root / row.text("source_file"), "source_file"),
                noises=(Sound(root / row.text("noise_file"), "noise_file"),),
                rule=CLAPSEP_RULE,
                caption=positive,
                negative_caption=negative,
                label=label(positive),
                noise_label=label(negative),
            )
        ]

    return read


def _dcase(table: ListTable, root: Path) -> Reader:
    caption = "caption" if "caption" in table.columns else "query"

    def place(row: Row, column: str) -> Sound:
        name = row.text(column)
        return Sound(root / (name if name.endswith(".wav") else f"{name}.wav"), column)

    def read(row: Row) -> list[Mixture]:
        return [
            Mixture(
                row=0,
                line=row.line,
                target=place(row, "source"),
                noises=(place(row, "noise"),),
                rule=DCASE_RULE,
                caption=row.text(caption),
                snr_db=row.number("snr"),
            )
        ]

    return read


BY_SNR: Final = ("snr_sdri_db", "si_sdr_db")
FORMATS: Final = (
    ListFormat("soundquarry", ("target_path", "noise_path", "snr_db", "caption"), _own, ("snr_sdri_db", "si_sdri_db")),
    ListFormat(
        "CLAPSep",
        ("source_file", "positive_caption", "noise_file", "negative_caption"),
        _clapsep,
        ("bss_sdri_db", "si_sdri_db"),
    ),
    ListFormat(
        "AudioSep", ("idx", "caption", "src_wav", "noise_wav|noise_wav1"), audiosep_reader, BY_SNR, audiosep_aggregation
    ),
    ListFormat("AudioSep VGGSound", ("mix_wav", "s0_wav", "s0_text", "s1_wav", "s1_text"), vggsound_reader, BY_SNR),
    ListFormat("DCASE 2024 task 9", ("source", "noise", "snr", "caption|query"), _dcase, BY_SNR),
    ListFormat("BiModal", PAIR, bimodal_reader, ("bss_sdr_db", "sir_db", "sar_db")),
)
