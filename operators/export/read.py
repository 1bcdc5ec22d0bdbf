"""The audio of stem rows, fetched a row group at a time and decoded a block at a time.

Contract: `blocks` gives the row's 24-bit steps as they are stored, in the upper part of int32; no more than one row
group of encoded audio (32 MiB, or a single larger row) and one decoded block are held.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from operators.export.selection import StemRow
from operators.whole_file import place

BLOCK_SAMPLES: Final = 1 << 16  # two seconds; the cost of a call vanishes
STEPS_TO_FLOAT: Final = 1 / 2**31

Steps = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


class RowChangedError(OSError):
    """The dataset is no longer what was planned from, or a row is damaged."""


class RowReader:
    """Reads rows of one dataset; cheap for rows that lie together."""

    def __init__(self, out_uri: str) -> None:
        self._fs: Any = place(out_uri).fs
        self._held: tuple[str, int] | None = None
        self._table: pa.Table | None = None

    def blocks(self, row: StemRow, start: int, stop: int) -> Iterator[Steps]:
        """Samples [start, stop) of the source's time line, [T, C] a block; they lie inside of the row."""
        try:
            with soundfile.SoundFile(io.BytesIO(self._flac(row))) as file:
                file.seek(start - row.start)
                left = stop - start
                while left:
                    block = file.read(min(BLOCK_SAMPLES, left), dtype="int32", always_2d=True)
                    if not len(block) or block.shape[1] != row.channels:
                        raise RowChangedError(f"{row.path}: the audio of {row.stem_id} is not as long as its row tells")
                    left -= len(block)
                    yield block
        except soundfile.LibsndfileError as error:
            raise RowChangedError(
                f"{row.path}: the audio of {row.stem_id} does not decode ({error}); "
                "`soundquarry verify --decode` finds all such rows"
            ) from error

    def _flac(self, row: StemRow) -> bytes:
        if self._held != (row.path, row.group) or self._table is None:
            self._held = self._table = None  # let the old one go first
            self._table = self._read(row)
            self._held = (row.path, row.group)
        if row.index >= len(self._table) or self._table["stem_id"][row.index].as_py() != row.stem_id:
            raise RowChangedError(f"{row.path} has changed since the export began; give the same command again")
        data: bytes = self._table["audio"][row.index]["bytes"].as_py()
        return data

    def _read(self, row: StemRow) -> pa.Table:
        try:
            with self._fs.open(row.path, "rb") as raw:
                return pq.ParquetFile(raw).read_row_group(row.group, columns=["stem_id", "audio"])
        except (FileNotFoundError, pa.ArrowException) as error:
            raise RowChangedError(
                f"{row.path} has changed since the export began ({error}); give the same command again"
            ) from error


def as_steps(block: Steps, gain_db: float) -> Steps:
    """24-bit steps turned up by `gain_db`; as they are when it is 0."""
    if gain_db == 0.0:
        return block
    steps = np.rint(block * (10 ** (gain_db / 20) / 256))
    louder: Steps = np.clip(steps, -(2**23), 2**23 - 1).astype(np.int32) << 8
    return louder


def as_floats(block: Steps, gain_db: float) -> Floats:
    """The samples with full scale at 1, turned up by `gain_db`."""
    return (block * (10 ** (gain_db / 20) * STEPS_TO_FLOAT)).astype(np.float32)
