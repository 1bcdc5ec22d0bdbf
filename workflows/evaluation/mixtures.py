"""What an evaluation is made of: one value object per mixture, with its files, its query, and the rule that mixes them.

Readers of lists make them (`workflows/evaluation/lists.py`); nothing here opens a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

MOST_PROBLEMS: Final = 10
"""Problems of a list that are written out; the others are counted."""

Aggregation = Literal["mean", "class_means", "class_medians"]
"""How a paper makes one number of many: mean of all mixtures, mean of the classes' means, or of their medians."""


class ListError(ValueError):
    """The list cannot be used; the message names the file, the row and the column."""


@dataclass(frozen=True)
class MixingRule:
    """How files become a mixture: one rule for all rows of a list.

    `how`: "snr" scales the noise to the row's `snr_db` and the sum to a peak of 0.9 where it exceeds 1; "mean" takes
    the mean of both, each clipped to 1; "ready" reads the mixture from a file.
    """

    about: str
    how: Literal["snr", "mean", "ready"] = "snr"
    sample_rate: int | None = None
    """What mixtures are made and scored at, in Hz; None for the model's own."""
    samples: int | None = None
    """Length at `sample_rate`, by cutting and by silence at the end; None for that of the longer file."""
    repeats: bool = False
    """A file that is shorter is repeated instead."""


@dataclass(frozen=True)
class Sound:
    """A file and the column that names it. `centre_seconds`: what is cut out lies around it; None for the first part,
    or with `is_centred` for the middle."""

    path: Path
    column: str
    centre_seconds: float | None = None
    is_centred: bool = False


@dataclass(frozen=True)
class Mixture:
    """One mixture of a list, and what is asked of it. `row` counts from 0, `line` is the one in the file.

    `noises` are all else that sounds; a mixture that is ready may name none. `label` and `noise_label` are the classes
    of the sounds, empty where the list has none.
    """

    row: int
    line: int
    target: Sound
    noises: tuple[Sound, ...]
    rule: MixingRule
    caption: str
    negative_caption: str = ""
    label: str = ""
    noise_label: str = ""
    snr_db: float = 0.0
    ready: Sound | None = None

    @property
    def sounds(self) -> tuple[Sound, ...]:
        """Every file that is read."""
        if self.ready is not None:
            return (self.target, self.ready)
        return (self.target, *self.noises)


@dataclass(frozen=True)
class MixtureList:
    """A list that was read and checked."""

    path: Path
    sha256: str
    format: str
    mixtures: tuple[Mixture, ...]
    aggregation: Aggregation
    """How those who published the list make one number of it."""
    published: tuple[str, ...]
    """The metrics they tell, by their names here."""


def refuse(path: Path, problems: list[str], advice: str = "") -> None:
    """Raises ListError with the first problems of a list, if there are any, and advice for all of them."""
    if not problems:
        return
    more = len(problems) - MOST_PROBLEMS
    told = problems[:MOST_PROBLEMS] + ([f"and {more} more"] if more > 0 else []) + ([advice] if advice else [])
    count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
    raise ListError(f"{path}: {count}, nothing was separated\n  " + "\n  ".join(told))
