"""Ctrl-C takes effect between two steps, and the handler that was there comes back."""

from __future__ import annotations

import signal
import threading

import pytest
import typer

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


def test_a_command_that_is_terminated_says_so_and_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        run(lambda: signal.raise_signal(signal.SIGTERM), interrupted="go on")
    assert caught.value.exit_code == 130
    assert capsys.readouterr().err == "soundquarry: interrupted; go on\n"
