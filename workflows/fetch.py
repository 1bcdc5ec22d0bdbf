"""One file from an http(s) address: whole and verified, or an error that says what to do next.

What has come lies in `NAME.part`, and an interrupted fetch goes on behind it where the server can send ranges. The file
has its own name only once its size and its sha256 are the expected ones.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from model.digest import sha256_of

CHUNK_BYTES: Final = 1 << 20
SILENCE_SECONDS: Final = 60.0  # without a byte: the connection is given up, and made again
TRIES: Final = 5  # one after the other that bring no byte beyond what was here already
FIRST_PAUSE_SECONDS: Final = 1.0  # doubled after every such try: 15 s in all
DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
PASSING_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
GO_ON: Final = "run the same command again to go on where it stopped"


class FetchError(OSError):
    """The file could not be had; the message names the address and the next step."""


class _InterruptedError(Exception):
    """The connection ended early, or the server is busy: worth another try."""


def fetch(
    url: str, path: Path, *, size_bytes: int, sha256: str, heard: Callable[[int], None] = lambda done_bytes: None
) -> None:
    """Bring the file at `url` to `path`, unless it is there already; `heard` is told how many bytes have come.

    Raises FetchError. `NAME.part` stays where going on makes sense, and is removed where it does not.
    """
    if path.is_file() and sha256_of(path) == sha256:
        heard(size_bytes)
        return
    part_path = path.with_name(path.name + ".part")
    with _Part(part_path, size_bytes) as part:
        heard(part.done)
        _fill(part, url, heard)
    if part.sha256 != sha256:
        part_path.unlink()
        raise FetchError(
            f"{url} holds other bytes than it should: their sha256 is {part.sha256}, expected {sha256}. What came is "
            "removed; run the same command again, and if this stays so, the file there is another one"
        )
    os.replace(part_path, path)


class _Part:
    """A file that is being filled, and the hash of what it holds."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.path = path
        self.size_bytes = size_bytes
        self._file = open(path, "a+b", buffering=0)  # noqa: SIM115 - closed by __exit__
        self._digest = hashlib.sha256()
        self._file.seek(0)
        while chunk := self._file.read(CHUNK_BYTES):
            self._digest.update(chunk)
        self.done = self._file.tell()
        if self.done > size_bytes:
            self.restart()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def restart(self) -> None:
        self._file.truncate(0)
        self._digest, self.done = hashlib.sha256(), 0

    def write(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:
            try:
                written = self._file.write(rest)
            except OSError as error:
                if error.errno not in DISK_FULL:
                    raise FetchError(f"{self.path} cannot be written: {error.strerror}") from error
                raise no_room(self.path.parent, self.size_bytes - self.done) from error
            self._digest.update(rest[:written])
            self.done += written
            rest = rest[written:]


def no_room(folder: Path, needed_bytes: int) -> FetchError:
    """What to raise where a file does not fit."""
    return FetchError(
        f"no space left in {folder}: {needed_bytes / 1e6:,.1f} MB more are needed. Make room, or set "
        f"SOUNDQUARRY_MODELS to a folder on a larger disk, and {GO_ON}"
    )


def _fill(part: _Part, url: str, heard: Callable[[int], None]) -> None:
    tries, at_first, furthest = 0, part.done, part.done
    while part.done < part.size_bytes:
        try:
            _append(part, url, heard)
        except HTTPError as error:
            if error.code == 416 and part.done:  # more is here than there: from the start, to see what it is
                part.restart()
            elif error.code not in PASSING_STATUSES:
                raise _refused(url, error) from error
            last: Exception = error
        except URLError as error:  # no connection at all
            if part.done == at_first:
                raise _unreachable(url, error.reason) from error
            last = error
        except (_InterruptedError, HTTPException, OSError) as error:
            if isinstance(error, FetchError):
                raise
            last = error
        else:
            continue
        tries = 1 if part.done > furthest else tries + 1  # without ranges the same bytes come again
        furthest = max(furthest, part.done)
        if tries == TRIES:
            raise FetchError(
                f"{url} stopped after {part.done:,} of {part.size_bytes:,} bytes ({last}); {GO_ON}"
            ) from last
        time.sleep(FIRST_PAUSE_SECONDS * 2 ** (tries - 1))


def _append(part: _Part, url: str, heard: Callable[[int], None]) -> None:
    headers = {"User-Agent": "soundquarry", "Accept-Encoding": "identity"}
    if part.done:
        headers["Range"] = f"bytes={part.done}-"
    with urlopen(Request(url, headers=headers), timeout=SILENCE_SECONDS) as response:
        start, size_bytes = _extent(response)
        if size_bytes not in (None, part.size_bytes):
            raise FetchError(
                f"{url} has {size_bytes:,} bytes, expected {part.size_bytes:,}: the file there is another one"
            )
        if start != part.done:
            part.restart()  # the server does not send ranges
            if start:
                raise _InterruptedError(f"asked for all bytes, and got those from {start:,}")
        while chunk := response.read(CHUNK_BYTES):
            if part.done + len(chunk) > part.size_bytes:
                part.restart()
                raise FetchError(f"{url} goes on after the expected {part.size_bytes:,} bytes: it is another file")
            part.write(chunk)
            heard(part.done)
    if part.done < part.size_bytes:
        raise _InterruptedError("the connection ended")


def _extent(response: HTTPResponse) -> tuple[int, int | None]:
    """Where the bytes of an answer begin in the file, and how long the file is (None: not told)."""
    if response.status == 206:  # Content-Range: bytes 100-199/200
        place, _, size = response.headers.get("Content-Range", "").partition("/")
        start = place.removeprefix("bytes").strip().partition("-")[0]
        return (int(start) if start.isdecimal() else 0), (int(size) if size.isdecimal() else None)
    size = response.headers.get("Content-Length", "")
    return 0, (int(size) if size.isdecimal() else None)


def _refused(url: str, error: HTTPError) -> FetchError:
    if error.code in (404, 410):
        why = "there is nothing at this address (any more)"
    elif error.code in (401, 403, 451):
        why = "the server does not give it to us"
    else:
        why = "the server does not give it"
    return FetchError(
        f"{url}: {error.code} {error.reason}: {why}. Set SOUNDQUARRY_MODELS_URL to a mirror, or fetch the file "
        "elsewhere and run `soundquarry models import`"
    )


def _unreachable(url: str, reason: object) -> FetchError:
    return FetchError(
        f"cannot reach {urlsplit(url).netloc} ({reason}): no network? On a machine without one, fetch the files "
        "elsewhere and run `soundquarry models import`"
    )
