"""What a job may be called: a name is part of addresses and of other names, wherever the job runs."""

from __future__ import annotations

import re
from typing import Final

MOST_CHARACTERS: Final = 63
"""A label of the DNS. On Kubernetes it is less, because KubeRay hangs suffixes of its own behind it."""
NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def wrong_name(name: str) -> str:
    """What is wrong with a job's name, and what it may be; nothing where it is right.

    >>> wrong_name("nightly-2"), wrong_name("a/b")[:11]
    ('', "'a/b' is no")
    """
    if len(name) <= MOST_CHARACTERS and NAME.fullmatch(name):
        return ""
    shown = repr(name if len(name) <= MOST_CHARACTERS else f"{name[:MOST_CHARACTERS]}...")
    return (
        f"{shown} is no name of a job: give at most {MOST_CHARACTERS} characters a-z, 0-9 and -, with no - at the ends"
    )
