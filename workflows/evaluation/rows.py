"""The rows of an evaluation: every metric under a name of its own, as a value object and as a table.

`snr_sdri_db` is what AudioSep and DCASE call SDRi (10 log10 |s|^2 / |s - e|^2, over the mixture's); `si_sdr_db` and
`si_sdri_db` are scale-invariant; `bss_*`, `sir_db` and `sar_db` are BSS-eval's, what CLAPSep and BiModal tell.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Final

import pyarrow as pa

METRICS: Final = ("snr_sdri_db", "si_sdr_db", "si_sdri_db", "bss_sdr_db", "bss_sdri_db", "sir_db", "sar_db")
BSS: Final = ("bss_sdr_db", "bss_sdri_db", "sir_db", "sar_db")
TYPES: Final = {"int": pa.int64(), "str": pa.string(), "str | None": pa.string(), "float | None": pa.float64()}


@dataclass(frozen=True)
class RowScores:
    """Scores of one mixture, in dB; None where there is none, with the reason in `error` or in `unscored`."""

    row: int
    line: int
    caption: str
    target: str
    """Path of the target's file, as the list says it."""
    target_label: str = ""
    snr_sdri_db: float | None = None
    si_sdr_db: float | None = None
    si_sdri_db: float | None = None
    bss_sdr_db: float | None = None
    bss_sdri_db: float | None = None
    sir_db: float | None = None
    sar_db: float | None = None
    absent_caption: str | None = None
    """What was asked for though it is not in the mixture,"""
    absent_below_db: float | None = None
    """and how far below the mixture the answer was."""
    unscored: str | None = None
    error: str | None = None


SCORES_SCHEMA: Final = pa.schema([(field.name, TYPES[str(field.type)]) for field in fields(RowScores)])


def as_table(rows: list[RowScores]) -> pa.Table:
    """Rows as they pass through Ray."""
    return pa.Table.from_pylist([asdict(row) for row in rows], schema=SCORES_SCHEMA)


def from_table(table: pa.Table) -> list[RowScores]:
    """And back."""
    return [RowScores(**row) for row in table.to_pylist()]
