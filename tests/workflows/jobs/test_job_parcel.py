"""What is sent stands alone: unpacked elsewhere, it is the same work; what is wrong is found while packing."""

from __future__ import annotations

import re
from pathlib import Path

import fsspec
import pytest
import yaml

from operators.catalog import CatalogError
from workflows.jobs.job_file import JobFileError, job_of, read_job
from workflows.jobs.job_parcel import parcel

PLACES = ["s3://archive/talks", "--out", "s3://stems/talks"]


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A catalog with recordings in two folders, of the same name, and of one that no ConfigMap could hold."""
    for name, content in {"a/door.wav": b"one", "b/door.wav": b"two", "a/Tür 1.wav": b"three"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with fsspec.open("memory://sounds/x.wav", "wb") as file:
        file.write(b"four")
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: my sounds\nqueries:\n"
        "- {id: dog, text: [a dog barking, dogs], negative: a cat meowing, threshold: 0.3, ucs: ANMLDog}\n"
        "- {id: door, text: a door, audio: [a/door.wav, b/door.wav], audio_weight: 0.7}\n"
        "- {id: squeak, audio: a/Tür 1.wav, negative_audio: [a/door.wav, 'memory://sounds/x.wav']}\n"
    )
    return path


def test_unpacked_elsewhere_it_is_the_same_work(catalog: Path, tmp_path: Path) -> None:
    job = job_of("extract", [*PLACES, "--catalog", str(catalog), "--threshold", "0.4"])
    sent = parcel(job)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name, content in sent.files.items():
        (folder / name).write_bytes(content)
    there = read_job(folder / "job.yaml")
    assert there.work == job.work
    assert there.catalog is not None
    assert job.catalog is not None
    assert there.catalog.name == "my sounds"
    assert there.catalog.content_hash == job.catalog.content_hash
    assert [query.query_text for query in there.catalog.queries][:2] == ["a dog barking", "a door"]
    assert sent.warnings == ()


def test_its_names_are_flat_and_distinct_and_fit_a_config_map(catalog: Path) -> None:
    files = parcel(job_of("extract", [*PLACES, "--catalog", str(catalog)])).files
    assert list(files)[:3] == ["job.yaml", "catalog.yaml", "door.wav"]
    assert len(files) == 5
    assert {files[name] for name in files if name.endswith(".wav")} == {b"one", b"two", b"three"}
    assert all(re.fullmatch(r"[-._a-zA-Z0-9]+", name) for name in files)


def test_a_ready_catalog_is_named_and_not_sent() -> None:
    files = parcel(job_of("mine", [*PLACES, "--catalog", "animals", "--padding", "0.5"])).files
    assert list(files) == ["job.yaml"]
    assert yaml.safe_load(files["job.yaml"]) == {
        "workflow": "mine",
        "sources": ["s3://archive/talks"],
        "catalog": "animals",
        "out": "s3://stems/talks",
        "padding": 0.5,
    }


def test_paths_of_this_machine_are_absolute_and_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sent = parcel(job_of("extract", ["talks", "--catalog", "everyday", "--out", "stems"]))
    assert yaml.safe_load(sent.files["job.yaml"])["sources"] == [str(tmp_path / "talks")]
    assert len(sent.warnings) == 2


def test_a_model_that_is_to_be_fetched_or_lies_on_the_nodes_is_not_refused() -> None:
    assert parcel(job_of("extract", [*PLACES, "--catalog", "everyday", "--model", "clapsep"])).warnings == ()
    (said,) = parcel(job_of("mine", [*PLACES, "--catalog", "everyday", "--model", "/m/mine.safetensors"])).warnings
    assert said.startswith("model: /m/mine.safetensors is a path of this machine")


def test_a_list_of_mixtures_is_told_of_as_a_path_and_never_as_a_url() -> None:
    said = parcel(job_of("evaluate", ["/data/list.csv", "--root", "/data"])).warnings
    assert [sentence.partition(":")[0] for sentence in said] == ["list_csv", "root"]
    assert not any("s3://" in sentence for sentence in said)


def test_categories_are_checked_here_against_a_list_of_this_machine(catalog: Path, tmp_path: Path) -> None:
    (tmp_path / "ucs.csv").write_text("CatID\nANMLDog\n")
    asked = [*PLACES, "--catalog", str(catalog), "--ucs-list", str(tmp_path / "ucs.csv")]
    assert b"ucs_list" not in parcel(job_of("mine", asked)).files["job.yaml"]
    (tmp_path / "ucs.csv").write_text("CatID\nANMLCat\n")
    with pytest.raises(CatalogError, match="'ANMLDog' is not among"):
        parcel(job_of("mine", asked))


@pytest.mark.parametrize(
    ("workflow", "options", "error", "said"),
    [
        ("extract", ["--no-gate", "--gate-threshold", "0.1"], JobFileError, "give one of them"),
        ("mine", ["--min-seconds", "4", "--max-event-seconds", "2"], JobFileError, "must be shorter than the longest"),
        ("extract", ["--catalog", "no.yaml"], CatalogError, "no catalog at 'no.yaml'"),
        (
            "extract",
            ["--metrics-port", "99999"],
            JobFileError,
            "--metrics-port is 99999; give a number from 1 to 65535",
        ),
        ("mine", ["--pushgateway", "foo"], JobFileError, "--pushgateway is 'foo': it does not begin with http://"),
        ("mine", ["--max-gpu-hours", "0"], JobFileError, "--max-gpu-hours is 0.0; give more than 0"),
        ("extract", ["--max-gpu-hours", "1", "--device", "cpu"], JobFileError, "give hours above 0, on a GPU"),
        ("extract", ["--model", "minni"], JobFileError, r"no model 'minni' \(did you mean mini\?\)"),
        ("extract", ["--model", "missing/x.safetensors"], JobFileError, "it is neither a file nor a model's name"),
    ],
)
def test_what_could_not_run_is_not_packed(workflow: str, options: list[str], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        parcel(job_of(workflow, [*PLACES, "--catalog", "everyday", *options]))
