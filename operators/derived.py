"""The tables derived from what is committed: sources and coverage of every dataset, and the events of a library.

Contract: each is made from the committed units alone, at any time; `rebuild_derived` replaces them, and
`operators/derived_verification.py` compares them with what the same writers give.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, Final

import pyarrow.parquet as pq

from operators.dataset import (
    COVERAGE_FILE,
    SOURCES_FILE,
    read_ledger,
    read_signature,
    rebuild_coverage,
    rebuild_sources,
    sources_table,
    write_coverage,
)
from operators.event_table import EVENTS_FILE, rebuild_events, write_events
from operators.standing import Ledger

LIBRARY_KIND: Final = "mine"

Writer = Callable[[BinaryIO], object]


def is_library(out_uri: str) -> bool:
    """True for what `mine` made: a row is an event. Raises SignatureError when the signature cannot be read."""
    return (read_signature(out_uri) or {}).get("kind") == LIBRARY_KIND


def derived_writers(out_uri: str, ledger: Ledger) -> dict[str, Writer]:
    """File name -> what writes its bytes, of every table that this dataset has."""
    writers: dict[str, Writer] = {
        SOURCES_FILE: lambda file: pq.write_table(sources_table(out_uri, ledger), file),
        COVERAGE_FILE: lambda file: write_coverage(file, out_uri, ledger),
    }
    if is_library(out_uri):
        writers[EVENTS_FILE] = lambda file: write_events(file, out_uri, ledger)
    return writers


def rebuild_derived(out_uri: str, ledger: Ledger | None = None) -> None:
    """Writes every derived table again from the committed units."""
    ledger = ledger if ledger is not None else read_ledger(out_uri)
    rebuild_sources(out_uri, ledger)
    rebuild_coverage(out_uri, ledger)
    if is_library(out_uri):
        rebuild_events(out_uri, ledger)
