"""Other people's tools open the dataset as it is."""

from __future__ import annotations

import io
from collections.abc import Iterator
from glob import glob
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fabricated_dataset import SAMPLE_RATE, Member, commit_unit, stem_rows
from pyarrow.parquet import read_metadata

from operators.dataset import rebuild_coverage, rebuild_sources


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("out")
    commit_unit(str(folder), "aa01", [Member("/a.wav", seconds=130.0, channels=2), Member("/b.wav", present=())])
    commit_unit(str(folder), "bb02", [Member("/c.wav", present=("dog", "rain"))])
    for unit, name in (("0003", "d"), ("ab04", "e")):  # the first of all files, and one in the middle
        commit_unit(str(folder), unit, [Member(f"/{name}.wav", status="failed", error_class="timeout")])
    rebuild_sources(str(folder))
    rebuild_coverage(str(folder))
    return folder


def test_huggingface_datasets_sees_an_audio_column_and_decodes_it(out: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    files = [file for file in glob(f"{out}/stems/*/*.parquet") if read_metadata(file).num_rows]
    stems = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    assert isinstance(stems.features["audio"], datasets.Audio)
    assert len(stems) == 5
    row = next(row for row in stems if row["source_uri"] == "/a.wav" and row["start_seconds"] == 60.0)
    decoded = row["audio"].get_all_samples()
    assert decoded.sample_rate == SAMPLE_RATE
    wanted = stem_rows("aa01", Member("/a.wav", seconds=130.0, channels=2), "dog")[1]["audio"]["bytes"]
    expected, _ = soundfile.read(io.BytesIO(wanted), dtype="float32", always_2d=True)
    assert np.abs(decoded.data.numpy() - expected.T).max() <= 2.0**-23
    assert len(row["embedding"]) == 8
    assert row["events"][0]["end_seconds"] == 63.0


def test_duckdb_groups_stems_by_query_and_joins_the_sources(out: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    counted = duckdb.sql(
        f"""SELECT query_id, count(*), sum(end_seconds - start_seconds), avg(presence), sum(len(events))
            FROM '{out}/stems/*/*.parquet' GROUP BY query_id ORDER BY query_id"""
    ).fetchall()
    assert [row[:3] for row in counted] == [("dog", 4, 150.0), ("rain", 1, 20.0)]
    joined = duckdb.sql(
        f"""SELECT s.source_uri, s.status, count(stem_id) FROM '{out}/sources.parquet' s
            LEFT JOIN '{out}/stems/*/*.parquet' t ON s.source_uri = t.source_uri AND s.track = t.track
            GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    stems = [("/a.wav", "ok", 3), ("/b.wav", "ok", 0), ("/c.wav", "ok", 2)]
    assert joined == [*stems, ("/d.wav", "failed", 0), ("/e.wav", "failed", 0)]
    ((present,),) = duckdb.sql(
        f"SELECT count(*) FROM (SELECT unnest(window_presence) p FROM '{out}/coverage.parquet') WHERE p > 0.5"
    ).fetchall()
    assert present > 0


def test_pandas_reads_the_searchable_columns_without_the_audio(out: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_parquet(out / "stems", columns=["query_id", "presence", "loudness_lufs"])
    assert list(frame["query_id"]).count("dog") == 4
    assert frame["loudness_lufs"].between(-40, 0).all()
