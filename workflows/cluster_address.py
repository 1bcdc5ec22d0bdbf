"""The address of a Ray cluster that a run is to join: asked before Ray is, which waits for minutes where nobody is, and
speaks of it in raw lines.

A cluster has two of them: its own, which is joined, and that of its dashboard, which takes jobs.
"""

from __future__ import annotations

import os
import re
import socket
from typing import Final

OURS: Final = "a cluster is joined at HOST:6379, the address of its head, or with auto on one of its nodes"
JOBS: Final = "http://HOST:8265, its dashboard, takes jobs: soundquarry submit ... --address http://HOST:8265"
ANSWER_SECONDS: Final = 10.0
"""For a connection, which takes milliseconds within a cluster."""
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""How HTTP/2, which Ray speaks, begins (RFC 9113, 3.4): the words, and settings that are empty."""
SETTINGS: Final = 4
"""The kind of frame that is answered first; its fourth byte."""
HOST_AND_PORT: Final = re.compile(r"(?:ray://)?(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})")


def wrong_cluster(address: str) -> str:
    """Why no cluster can be joined at an address, and what to give; nothing where something answers.

    >>> wrong_cluster("nonsense")[:58]
    "--address is 'nonsense': a cluster is joined at HOST:6379,"
    """
    if address in ("auto", "local"):
        return ""
    match = HOST_AND_PORT.fullmatch(address)
    if match is None or int(match[2]) not in range(1, 65_536):
        return f"--address is {address!r}: {OURS}; {JOBS}"
    try:
        with socket.create_connection((match[1].strip("[]"), int(match[2])), timeout=ANSWER_SECONDS) as asked:
            said = "" if os.environ.get("RAY_USE_TLS") == "1" or _speaks_http2(asked) else "something else does"
    except (OSError, UnicodeError) as error:
        said = str(error)
    if not said:
        return ""
    return f"no Ray cluster answers at {address} ({said}): check that its head runs, and the address; {OURS}; {JOBS}"


def _speaks_http2(asked: socket.socket) -> bool:
    asked.sendall(PREFACE)
    answer = asked.recv(9)
    return len(answer) == 9 and answer[3] == SETTINGS
