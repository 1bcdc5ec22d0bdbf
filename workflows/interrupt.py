"""Ctrl-C between two steps of the work, never within one; and a cluster's way to end a job, which means the same.

Python raises KeyboardInterrupt wherever it happens to be; inside of a decoder's callback it is printed and lost, and
between the making of a temporary file and its being looked after it leaves the file behind.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def interruptible_between_steps() -> Iterator[Callable[[], None]]:
    """Hands out a `check` that raises KeyboardInterrupt if Ctrl-C was pressed since the last one, or at the end.

    In another thread than the main one, which hears no signals, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    pressed = False

    def note(*_: Any) -> None:
        nonlocal pressed
        pressed = True

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield check
        check()
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def terminated_like_interrupted() -> Iterator[Callable[[], None]]:
    """SIGTERM, by which a job is cancelled and a pod is ended, raises KeyboardInterrupt: the run's log then says so.

    Hands out a function that sets this up again, for where something else has set a handler of its own meanwhile. In
    another thread than the main one, which hears no signals, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    def set_up() -> None:
        signal.signal(signal.SIGTERM, interrupt)

    before = signal.getsignal(signal.SIGTERM)
    set_up()
    try:
        yield set_up
    finally:
        signal.signal(signal.SIGTERM, before)
