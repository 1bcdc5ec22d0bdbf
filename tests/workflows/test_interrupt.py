"""Ctrl-C takes effect between two steps, and the handler that was there comes back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import typer
from file_server import serving

from workflows.cluster import ray_cluster
from workflows.commands.endings import run
from workflows.interrupt import interruptible_between_steps, terminated_like_interrupted


def test_it_is_raised_at_the_next_check_and_not_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    reached = []
    with pytest.raises(KeyboardInterrupt), interruptible_between_steps() as check:
        check()
        signal.raise_signal(signal.SIGINT)
        reached.append("the end of the step")
        check()
        reached.append("the next step")
    assert reached == ["the end of the step"]
    assert signal.getsignal(signal.SIGINT) is before


def test_it_is_not_lost_after_the_last_check() -> None:
    with pytest.raises(KeyboardInterrupt), interruptible_between_steps():
        signal.raise_signal(signal.SIGINT)


def test_an_error_of_the_work_is_that_error() -> None:
    with pytest.raises(ValueError, match="of the work"), interruptible_between_steps():
        signal.raise_signal(signal.SIGINT)
        raise ValueError("of the work")


def test_in_another_thread_it_does_nothing() -> None:
    done = []

    def work() -> None:
        with interruptible_between_steps() as check:
            check()
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


def test_a_termination_is_an_interruption_and_the_handler_comes_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), terminated_like_interrupted():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_termination_that_python_ignores_comes_again() -> None:
    class Ignores:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)  # what is raised here is lost, whatever it is

    before, hook = signal.getsignal(signal.SIGTERM), sys.unraisablehook
    with pytest.raises(KeyboardInterrupt), terminated_like_interrupted():
        Ignores()
        time.sleep(10)
        raise AssertionError("went on")
    assert (signal.getsignal(signal.SIGTERM), sys.unraisablehook) == (before, hook)


def test_a_termination_that_python_ignores_at_the_very_end_is_not_lost() -> None:
    class Ignores:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt), terminated_like_interrupted():
        Ignores()


def test_a_command_that_is_terminated_says_so_and_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        run(lambda: signal.raise_signal(signal.SIGTERM), interrupted="go on")
    assert caught.value.exit_code == 130
    assert capsys.readouterr().err == "soundquarry: interrupted; go on\n"


def test_a_termination_is_an_interruption_again_where_another_handler_was_set_meanwhile() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), terminated_like_interrupted() as set_up_again:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.raise_signal(signal.SIGTERM)
        set_up_again()
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("went on")
    assert signal.getsignal(signal.SIGTERM) is before


def test_ray_does_not_keep_the_handler_once_it_is_gone() -> None:
    """What is rebuilt and reported after the units is part of the run."""
    with terminated_like_interrupted():
        ours = signal.getsignal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt), ray_cluster():
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is ours


def test_a_run_that_is_terminated_while_it_lists_its_sources_says_so_in_its_log(tmp_path: Path) -> None:
    with serving({"/a.wav": bytes(4_000_000)}) as server:
        server.release = threading.Event()
        command = [
            sys.executable, "-m", "workflows.cli", "extract", f"{server.url}/a.wav", "--catalog", "everyday",
            "--out", str(tmp_path / "out"),
        ]  # fmt: skip
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        gives_up = time.monotonic() + 120
        while not server.asked or not (logs := list(tmp_path.glob("out/runs/*/run.json"))):
            assert run.poll() is None
            assert time.monotonic() < gives_up
            time.sleep(0.1)
        assert json.loads(logs[0].read_text())["state"] == "running"
        run.send_signal(signal.SIGTERM)
        _, said = run.communicate(timeout=60)
    assert run.returncode == 130, said
    assert "interrupted; run the same command again" in said
    assert json.loads(logs[0].read_text())["state"] == "interrupted"
