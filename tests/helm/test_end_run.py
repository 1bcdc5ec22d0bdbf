"""A head that is taken away stops its run first: the chart's preStop command, run against a real run.

Both have a process table of their own, as in a container, so that the command sees no other run of this machine.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from made_media import RATE, chirp, encode
from rendered_chart import rendered

ROOT: Final = Path(__file__).parents[2]
ALONE: Final = ("unshare", "--mount", "--pid", "--fork", "--mount-proc")
CONTAINER: Final = """
/bin/sh -c 'soundquarry run job.yaml; exit $?' &
until ls $1 >/dev/null 2>&1; do kill -0 $! || exit 99; sleep 0.2; done
/bin/sh -c "$2"
wait $!
"""
"""The command as Ray starts it, in a shell; once there are such files, the preStop command; the run's exit code."""


def pre_stop() -> list[str]:
    (container,) = rendered().pods["head"]["spec"]["containers"]
    command: list[str] = container["lifecycle"]["preStop"]["exec"]["command"]
    return command


def alone(command: list[str], folder: Path, seconds: float) -> subprocess.CompletedProcess[str]:
    path = f"{folder}:{Path(sys.executable).parent}:/usr/bin:/bin"
    environment = {"PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(folder), "RAY_AUTH_MODE": "disabled"}
    return subprocess.run(
        [*ALONE, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds
    )


@pytest.fixture
def container(tmp_path: Path) -> Path:
    """A folder to be alone in, with the program."""
    if shutil.which("unshare") is None or subprocess.run([*ALONE, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to make a process table (root, and unshare of util-linux)")
    program = tmp_path / "soundquarry"
    program.write_text(f"#!{sys.executable}\nfrom workflows.cli import main\n\nmain()\n")
    program.chmod(0o755)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("there", ["stems/runs/*/run.json", "stems/stems/*/.*.tmp"], ids=["planning", "separating"])
def test_a_run_is_stopped_says_so_and_has_ended_when_its_head_goes(container: Path, there: str) -> None:
    encode(container / "talk.wav", chirp(RATE, 1200.0), RATE)
    job = {"workflow": "extract", "sources": ["talk.wav"], "catalog": "everyday", "out": "stems", "unit_seconds": 60}
    (container / "job.yaml").write_text(json.dumps(job))
    *shell, script = pre_stop()
    assert shell == ["/bin/sh", "-c"]
    done = alone(["/bin/sh", "-c", CONTAINER, "container", there, script], container, 500)
    (run,) = (container / "stems" / "runs").glob("*/run.json")
    assert json.loads(run.read_text())["state"] == "interrupted", done.stderr
    assert done.returncode == 130, done.stderr


def test_without_a_run_there_is_nothing_to_wait_for(container: Path) -> None:
    done = alone(pre_stop(), container, 20)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_time_that_a_run_has_for_it_is_a_value() -> None:
    assert rendered().pods["head"]["spec"]["terminationGracePeriodSeconds"] == 60
    head = rendered({"head": {"terminationGracePeriodSeconds": 300}}).pods["head"]
    assert head["spec"]["terminationGracePeriodSeconds"] == 300
    assert "lifecycle" not in rendered().pods["cpu"]["spec"]["containers"][0]
