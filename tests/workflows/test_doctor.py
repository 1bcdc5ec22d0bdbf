"""The doctor: what is missing is named together with the next step, and the exit code says whether a run can start."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from small_model import save_small

from workflows import doctor
from workflows.doctor import Check, run_doctor

ROOT = Path(__file__).parents[2]


@pytest.fixture
def empty_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A PATH on which nothing is found."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(folder: Path, name: str, prints: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{prints}'\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_this_machine_has_what_the_tests_run_on() -> None:
    states = {check.name: check for check in doctor.examine() if check.name != "default weights"}
    assert [check for check in states.values() if check.state == "problem"] == []
    assert set(states) | {"default weights"} == set(doctor.CHECKS)


def test_a_missing_ffmpeg_is_a_problem_with_the_command_that_installs_it(empty_path: Path) -> None:
    for check in (doctor.check_ffmpeg(), doctor.check_ffprobe()):
        assert check.state == "problem"
        assert "apt-get install ffmpeg" in check.next_step


def test_an_ffmpeg_without_decoders_is_a_problem_that_names_them(empty_path: Path) -> None:
    program(empty_path, "ffmpeg", "ffmpeg version 6.0 Copyright")
    check = doctor.check_ffmpeg()
    assert check.state == "problem"
    assert "6.0, without decoders aac, ac3" in check.found


def test_a_missing_demo_encoder_is_only_a_warning(empty_path: Path) -> None:
    assert doctor.check_demo_encoders().state == "warning"


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("5.1.9-0+deb12u1", (5, 1)), ("n7.0", (7, 0)), ("N-1123-gabc", (999, 0)), ("4.2.2", (4, 2))],
)
def test_versions_of_ffmpeg_are_compared_as_numbers(version: str, numbers: tuple[int, ...]) -> None:
    assert doctor._numbers(version) == numbers


def test_weights_that_are_absent_or_cut_off_are_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    monkeypatch.setattr(doctor, "WEIGHTS", tmp_path)
    assert "no *.safetensors" in doctor.check_weights().found
    path = tmp_path / "mini.safetensors"
    save_file({"weight": np.zeros(1000, np.float32)}, path)
    assert doctor.check_weights().state == "ok"
    path.write_bytes(path.read_bytes()[:500])
    check = doctor.check_weights()
    assert check.state == "problem"
    assert str(path) in check.next_step


def test_a_models_folder_below_a_file_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SOUNDQUARRY_MODELS", raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert doctor.check_fetched_models().state == "warning"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new" / "folder"))
    check = doctor.check_fetched_models()
    assert check.state == "ok"
    assert check.found.startswith("clapsep not here, ")
    assert os.listdir(tmp_path) == ["file"]  # looked at, not created


def test_fetched_models_are_told_whole_or_damaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOUNDQUARRY_MODELS", str(tmp_path))
    path = save_small(tmp_path / "clapsep.safetensors")
    check = doctor.check_fetched_models()
    assert (check.state, check.found.partition(",")[0]) == ("ok", "clapsep whole (not the published weights)")
    path.write_bytes(path.read_bytes()[:-1])
    check = doctor.check_fetched_models()
    assert (check.state, check.found.partition(",")[0]) == ("warning", "clapsep damaged")
    assert "soundquarry models pull clapsep" in check.next_step


def test_a_check_that_raises_is_a_problem_and_not_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Check:
        raise ImportError("pyarrow requires NumPy 2.0 or newer")

    monkeypatch.setattr(doctor, "CHECKS", {"Ray": broken})
    (check,) = doctor.examine()
    assert (check.name, check.state) == ("Ray", "problem")
    assert "NumPy 2.0" in check.found
    assert "make setup" in check.next_step


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("warning", 0), ("problem", 1)])
def test_only_a_problem_makes_the_exit_code_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: doctor.State, code: int
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", {"thing": lambda: Check("thing", state, "found [it]", "turn it")})
    assert run_doctor(as_json=True) == code
    content = json.loads(capsys.readouterr().out)
    assert content["ok"] is (code == 0)
    assert content["checks"] == [{"name": "thing", "state": state, "found": "found [it]", "next_step": "turn it"}]

    output = io.StringIO()
    assert run_doctor(console=Console(file=output, width=100)) == code
    assert "found [it]" in output.getvalue()
    assert f"{state} thing: turn it" in output.getvalue()


def test_the_quick_doctor_looks_at_what_may_change_and_imports_neither_torch_nor_ray() -> None:
    code = (
        "import sys; from workflows.cli import app; app(['doctor', '--quick', '--json'], standalone_mode=False); "
        "assert not {'torch', 'ray', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert tuple(check["name"] for check in json.loads(done.stdout)["checks"]) == doctor.QUICK
