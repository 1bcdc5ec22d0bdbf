"""Checks that each derived table is what the committed units give: the same writers make it once more."""

from __future__ import annotations

from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from operators.dataset import SignatureError
from operators.derived import Writer, derived_writers
from operators.failure import SourceFailure
from operators.findings import RERUN, Finding, VerifyResult
from operators.standing import Ledger
from operators.whole_file import Place, place

ROWS_COMPARED: Final = 4096


def _rows(parquet: pq.ParquetFile) -> Iterator[pa.Table]:
    """The rows in pieces of `ROWS_COMPARED`, however the file's row groups are cut."""
    rest = parquet.schema_arrow.empty_table()
    for batch in parquet.iter_batches(batch_size=ROWS_COMPARED):
        rest = pa.concat_tables([rest, pa.Table.from_batches([batch])])
        while len(rest) >= ROWS_COMPARED:
            yield rest.slice(0, ROWS_COMPARED)
            rest = rest.slice(ROWS_COMPARED)
    yield rest


def _same_rows(one: pq.ParquetFile, other: pq.ParquetFile) -> bool:
    if one.metadata.num_rows != other.metadata.num_rows or not one.schema_arrow.equals(other.schema_arrow):
        return False
    return all(left.equals(right) for left, right in zip(_rows(one), _rows(other), strict=True))


def check_derived(out_uri: str, ledger: Ledger, result: VerifyResult) -> None:
    """Each derived table is what the committed units give."""
    try:
        writers = derived_writers(out_uri, ledger)
    except SignatureError as error:
        result.findings.append(Finding("signature", out_uri, str(error)))
        return
    for name, write in writers.items():
        file = place(out_uri) / name
        if file.exists():
            _check_table(file, write, result)
        elif ledger.units:
            message = f"missing: the run did not come to its end; {RERUN}"
            result.findings.append(Finding("derived_missing", file.uri, message))


def _check_table(file: Place, write: Writer, result: VerifyResult) -> None:
    with TemporaryFile() as rebuilt:
        try:
            write(rebuilt)
        except (pa.ArrowException, OSError, SourceFailure, ValueError) as error:
            message = f"it cannot be made from the committed units ({error})"
            result.findings.append(Finding("derived_unmade", file.uri, message))
            return
        try:
            with file.fs.open(file.path, "rb") as handle:
                same = _same_rows(pq.ParquetFile(handle), pq.ParquetFile(rebuilt))
            message = f"it is not what the committed units add up to; {RERUN}, it is rebuilt at the end"
        except (pa.ArrowException, OSError) as error:
            same, message = False, f"it does not open ({error}); {RERUN}, it is rebuilt at the end"
        if not same:
            result.findings.append(Finding("derived_differs", file.uri, message))
