"""Ctrl-C between two steps of the work, never within one; and a cluster's way to end a job, which means the same.

Python raises KeyboardInterrupt wherever it happens to be; inside of a decoder's callback it is printed and lost, and
between the making of a temporary file and its being looked after it leaves the file behind.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

AGAIN_SECONDS: Final = 0.05
"""After so long an interruption that was lost comes again; whatever ignored it is over by then, or it is lost again."""


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

    Hands out a function that sets this up again, for where something else has set a handler of its own meanwhile. An
    interruption that Python ignores, since it came within a callback of an import or of the garbage collection, comes
    again. In another thread than the main one, which hears no signals, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    lost, over = threading.Event(), threading.Event()

    def interrupt(*_: Any) -> None:
        lost.clear()
        raise KeyboardInterrupt

    def come_again() -> None:
        if not over.is_set():
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    def ignored(what: sys.UnraisableHookArgs) -> None:
        if what.exc_type is not KeyboardInterrupt:
            hook_before(what)
        else:
            lost.set()
            threading.Timer(AGAIN_SECONDS, come_again).start()

    def set_up() -> None:
        signal.signal(signal.SIGTERM, interrupt)

    before, hook_before = signal.getsignal(signal.SIGTERM), sys.unraisablehook
    set_up()
    sys.unraisablehook = ignored
    try:
        yield set_up
        if lost.is_set():
            raise KeyboardInterrupt
    finally:
        over.set()
        sys.unraisablehook = hook_before
        signal.signal(signal.SIGTERM, before)
