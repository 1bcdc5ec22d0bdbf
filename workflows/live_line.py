"""How far a work is, as one line: it stays in place on a terminal, and comes every ten seconds elsewhere."""

from __future__ import annotations

import time
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

LINE_EVERY_SECONDS: Final = 10.0
BAR_WIDTH: Final = 24


class LiveLine:
    """`start`, then `show` as often as you like, then `stop`, which takes a drawn line away."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._said = time.monotonic()

    def start(self, text: str = "") -> None:
        """Draws the line where there is a terminal."""
        if self._console.is_terminal:
            self._live = Live(Text(text), console=self._console, refresh_per_second=4, transient=True)
            self._live.start()

    def stop(self) -> bool:
        """The terminal is as it was found. True when there was a line."""
        if self._live is None:
            return False
        self._live.stop()
        return True

    def show(self, share: float, text: str, *, last: bool = False) -> None:
        """The work is at `share`, 0 to 1, and says `text`; `last` is always said."""
        if self._live is not None:
            bar = "━" * round(BAR_WIDTH * min(1.0, share))
            self._live.update(Text(f"{bar:<{BAR_WIDTH}} {text}"))
        elif self.due(last=last):
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def due(self, *, last: bool = False) -> bool:
        """True when a line that is not drawn is to be said now."""
        now = time.monotonic()
        if not last and now - self._said <= LINE_EVERY_SECONDS:
            return False
        self._said = now
        return True
