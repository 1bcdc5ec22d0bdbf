"""The whole flow with an imported CLAPSep behind the shipped model: its towers ask, the small network tells presence,
and it makes the stems."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from made_media import chirp, encode
from small_clapsep import save_small_published
from small_towers import SMALL

from model.registry import load_model
from operators.media.flac import decode_flac
from operators.verification import verify_dataset

pytestmark = pytest.mark.slow  # the start of Ray; `tests/operators/test_separate.py` does the same without it

SOUNDQUARRY = [sys.executable, "-m", "workflows.cli"]
SECONDS, RATE, NETWORK_RATE = 13.0, 44_100, 32_000
CATALOG = "- a dog barking\n- {id: rain, text: rain falling, negative: applause}\n"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One short stereo file, a catalog, and the file of a model."""
    folder = tmp_path_factory.mktemp("archive")
    encode(folder / "stereo.flac", chirp(RATE, SECONDS), RATE)
    (folder / "catalog.yaml").write_text(CATALOG)
    save_small_published(folder / "tiny.safetensors")
    return folder


def extract(archive: Path, out: Path, *options: str) -> list[dict[str, object]]:
    """The rows of a run that must end well, in order of queries."""
    command = [
        *SOUNDQUARRY, "extract", str(archive / "stereo.flac"), "--model", str(archive / "tiny.safetensors"),
        "--catalog", str(archive / "catalog.yaml"), "--out", str(out), "--device", "cpu", "--json", *options,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert verify_dataset(str(out), decode=True).findings == []
    (source,) = pq.read_table(out / "sources.parquet").to_pylist()
    assert source["status"] == "ok"
    return sorted(pads.dataset(out / "stems").to_table().to_pylist(), key=lambda row: row["query_id"])


def test_an_imported_clapsep_extracts_stems_behind_the_shipped_gate(archive: Path, tmp_path: Path) -> None:
    rows = extract(archive, tmp_path / "out", "--threshold", "0")
    model = load_model(str(archive / "tiny.safetensors"))
    assert [row["query_id"] for row in rows] == ["dog_barking", "rain"]
    stems = []
    for row in rows:
        samples, rate = decode_flac(row["audio"]["bytes"], row["gain_db"])
        assert (rate, samples.shape) == (NETWORK_RATE, (2, round(SECONDS * NETWORK_RATE)))
        assert row["model_signature"] == model.signature
        assert 0.0 < row["presence"] < 1.0
        assert len(row["embedding"]) == SMALL.embedding
        assert -1.0 <= row["clap_similarity"] <= 1.0
        stems.append(samples)
    mixture = chirp(NETWORK_RATE, SECONDS).T
    assert all(0.05 < np.linalg.norm(stem) / np.linalg.norm(mixture) < 0.99 for stem in stems)
    assert np.linalg.norm(stems[0] - stems[1]) > 0.05 * np.linalg.norm(mixture)
    coverage = pq.read_table(tmp_path / "out" / "coverage.parquet").to_pylist()
    assert {row["query_id"]: row["windows"] for row in coverage} == {"dog_barking": 2, "rain": 2}


def test_at_the_rate_of_the_source_stems_have_its_rate_and_length(archive: Path, tmp_path: Path) -> None:
    rows = extract(archive, tmp_path / "out", "--no-gate", "--rate", "source", "--residual")
    assert [row["query_id"] for row in rows] == ["dog_barking", "rain", "residual"]
    for row in rows:
        samples, rate = decode_flac(row["audio"]["bytes"], row["gain_db"])
        assert (rate, samples.shape) == (RATE, (2, round(SECONDS * RATE)))


def test_where_the_gate_hears_nothing_there_are_no_stems(archive: Path, tmp_path: Path) -> None:
    assert extract(archive, tmp_path / "out", "--threshold", "1") == []
    coverage = pq.read_table(tmp_path / "out" / "coverage.parquet").to_pylist()
    assert [row["windows_passed"] for row in coverage] == [0, 0]
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["model"].startswith("tiny-")
