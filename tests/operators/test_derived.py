from __future__ import annotations

from pathlib import Path

import pytest
from fabricated_dataset import Event, Member, commit_events, commit_unit, sign

from operators.dataset import SignatureError, read_ledger
from operators.derived import derived_writers, is_library, rebuild_derived


def names(out: str) -> list[str]:
    return sorted(path.name for path in Path(out).glob("*.parquet"))


def test_a_library_has_a_table_of_events_too(tmp_path: Path) -> None:
    out = str(tmp_path)
    sign(out)
    commit_events(out, "aa01", [Event("/a.wav", 1.0)])
    rebuild_derived(out)
    assert names(out) == ["coverage.parquet", "events.parquet", "sources.parquet"]
    assert sorted(derived_writers(out, read_ledger(out))) == names(out)


def test_a_dataset_of_stems_has_none(tmp_path: Path) -> None:
    out = str(tmp_path)
    sign(out, kind="extract")
    commit_unit(out, "aa01", [Member("/a.wav")])
    rebuild_derived(out)
    assert names(out) == sorted(derived_writers(out, read_ledger(out))) == ["coverage.parquet", "sources.parquet"]


def test_without_a_signature_it_is_no_library_and_a_damaged_one_is_told_of(tmp_path: Path) -> None:
    assert not is_library(str(tmp_path))
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(SignatureError, match="not JSON"):
        is_library(str(tmp_path))
