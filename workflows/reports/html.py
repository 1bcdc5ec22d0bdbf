"""HTML that cannot be injected into: text becomes markup in one place, and is escaped there.

Contract: `fill("tile", name=anything)` fills a piece of `templates/report.html` and escapes every value that is not
already `Html`.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

from operators.media.archive_slice import layers

TEMPLATES: Final = Path(__file__).parents[1] / "templates"


class Html(str):
    """Markup that may go into a page as it is."""

    __slots__ = ()


@lru_cache(maxsize=1)
def pieces() -> dict[str, str]:
    """The pieces of the template by name, without the line breaks and indents between tags."""
    text = (TEMPLATES / "report.html").read_text(encoding="utf-8")
    parts = re.split(r"<!-- (\w+) -->\n", text)[1:]
    return {name: re.sub(r"\n\s*", "", body) for name, body in zip(parts[::2], parts[1::2], strict=True)}


def escaped(value: object) -> Html:
    """A value as text of a page.

    >>> escaped("<b>'&"), escaped(Html("<b>"))
    ('&lt;b&gt;&#x27;&amp;', '<b>')
    """
    return value if isinstance(value, Html) else Html(html.escape("" if value is None else str(value)))


def fill(piece: str, **values: object) -> Html:
    """The piece of that name with every `{place}` filled in, escaped.

    >>> fill("code", text="a < b")
    '<code>a &lt; b</code>'
    """
    return Html(pieces()[piece].format(**{name: escaped(value) for name, value in values.items()}))


def joined(parts: Iterable[object]) -> Html:
    """Parts one after the other, each escaped."""
    return Html("".join(escaped(part) for part in parts))


def counted(number: int, what: str) -> str:
    """A number of things.

    >>> counted(1, "stem"), counted(1200, "stem")
    ('1 stem', '1,200 stems')
    """
    return f"{number:,} {what}{'s' * (number != 1)}"


def clock(seconds: float) -> str:
    """A time as people write it.

    >>> clock(75), clock(3675.5), clock(9.25)
    ('1:15', '1:01:15', '0:09')
    """
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def duration(seconds: float) -> str:
    """A length of time in two units.

    >>> duration(4.42), duration(42.4), duration(600), duration(36600)
    ('4.4 s', '42 s', '10 min 0 s', '10 h 10 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if 0 < seconds < 9.95 else f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60} s"
    return f"{int(seconds) // 3600:,} h {int(seconds) // 60 % 60} min"


def size(size_bytes: float) -> str:
    """A size in the unit that suits it.

    >>> size(0), size(900), size(1_234_000), size(56e9)
    ('0 kB', '0.9 kB', '1.2 MB', '56 GB')
    """
    power = min(4, max(1, math.floor(math.log10(max(size_bytes, 1)) / 3)))
    number, unit = size_bytes / 1000**power, ("kB", "MB", "GB", "TB")[power - 1]
    return f"{number:.1f} {unit}" if 0 < number < 10 else f"{number:,.0f} {unit}"


def decibels(value: float, unit: str = "dB") -> str:
    """A level with a real minus sign.

    >>> decibels(-3.25, "LUFS")
    '\N{MINUS SIGN}3.2 LUFS'
    """
    return f"{value:.1f} {unit}".replace("-", "\N{MINUS SIGN}")


def percent(share: float | None) -> str:
    """A share as a percentage that is honest about 0 and 100.

    >>> percent(0.9996), percent(0.123), percent(1.0)
    ('99.9 %', '12.3 %', '100 %')
    """
    if share is None:
        return "–"
    if share in (0.0, 1.0):
        return f"{100 * share:.0f} %"
    return f"{min(99.9, max(0.1, 100 * share)):.1f} %"


def short_name(uri: str, track: int | None = None) -> str:
    """The end of a URI that tells it from others, with the track when that is given.

    >>> short_name("/archive/tapes/one.mp4", 1), short_name("tar://a/b.wav::/x/clips.tar")
    ('one.mp4 · track 1', 'clips.tar › a/b.wav')
    """
    *members, home = layers(uri)
    name = home.rstrip("/").rsplit("/", 1)[-1] or uri
    name = " › ".join([name, *(member.partition("://")[2] for member in reversed(members))])
    return name if track is None else f"{name} · track {track}"
