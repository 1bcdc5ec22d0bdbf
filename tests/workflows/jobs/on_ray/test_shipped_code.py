"""A job is sent with the code that submits it, its own files, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from workflows.jobs.job_service import JobError
from workflows.jobs.on_ray import shipped_code as module
from workflows.jobs.on_ray.shipped_code import ROOT, shipped_code


def test_it_holds_the_three_packages_and_the_files_of_the_job() -> None:
    with shipped_code({"job.yaml": b"workflow: extract\n", "door.wav": b"\0"}) as folder:
        assert {path.name for path in folder.iterdir()} == {"model", "operators", "workflows", "job.yaml", "door.wav"}
        assert (folder / "job.yaml").read_bytes() == b"workflow: extract\n"
        assert not [path for path in folder.rglob("*") if path.suffix == ".pyc" or path.name == "__pycache__"]
        for kept in ("model/weights/mini.safetensors", "operators/catalogs/everyday.yaml", "workflows/cli.py"):
            assert (folder / kept).read_bytes() == (ROOT / kept).read_bytes()
    assert not folder.exists()


def test_a_python_that_starts_there_runs_that_code(tmp_path: Path) -> None:
    with shipped_code({}) as folder:
        print_place = [sys.executable, "-c", "import workflows, model; print(workflows.__file__, model.__file__)"]
        done = subprocess.run(print_place, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(folder / "workflows/__init__.py"), str(folder / "model/__init__.py")]


def test_more_than_a_head_takes_is_refused_before_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 2**20)
    with pytest.raises(JobError, match="MiB with its code, and a Ray head takes 1 at most"), shipped_code({}):
        pass
