"""A web server on the loopback interface that hands out byte ranges of one remote object, read through fsspec.

ffprobe needs a few kilobytes here and there (an mp4's index may lie at its end): with this it reads any file system
that fsspec knows, and nothing is copied.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from operators.source import place_of

CHUNK_BYTES: Final = 1 << 20
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d*)")


class RangeServer(ThreadingHTTPServer):
    """Serves the bytes `[offset, offset + size_bytes)` of one object; `error` is what went wrong while reading them."""

    daemon_threads = True

    def __init__(self, uri: str, size_bytes: int, offset: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _RangeHandler)
        self.fs, self.path = place_of(uri)
        self.size_bytes = size_bytes
        self.offset = offset
        self.error: Exception | None = None
        self.token = secrets.token_hex(16)  # other users of the machine cannot guess the address

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{self.token}"

    def read(self, begin: int, end: int) -> bytes:
        """Bytes `[begin, end)` of what is served."""
        data: bytes = self.fs.cat_file(self.path, start=self.offset + begin, end=self.offset + end)
        return data


class _RangeHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RangeServer

    def do_GET(self) -> None:
        server = self.server
        if self.path != f"/{server.token}":
            self.send_error(404)
            return
        match = _RANGE.match(self.headers.get("Range", ""))
        begin = int(match[1]) if match else 0
        end = min(int(match[2]) + 1, server.size_bytes) if match and match[2] else server.size_bytes
        if begin >= end:
            self.send_error(416)
            return
        self._send(begin, end, partial=match is not None)

    def _send(self, begin: int, end: int, *, partial: bool) -> None:
        server = self.server
        try:
            first = server.read(begin, min(begin + CHUNK_BYTES, end))
        except Exception as error:
            server.error = error
            self.send_error(500)
            return
        self.send_response(206 if partial else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - begin))
        self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{server.size_bytes}")
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # ffprobe hangs up when it has seen enough
            self.wfile.write(first)
            self._send_rest(begin + len(first), end)

    def _send_rest(self, begin: int, end: int) -> None:
        while begin < end:
            try:
                data = self.server.read(begin, min(begin + CHUNK_BYTES, end))
            except Exception as error:
                self.server.error = error
                self.close_connection = True
                return
            self.wfile.write(data)
            begin += len(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a probe's requests are nobody's business."""


@contextlib.contextmanager
def serving(uri: str, size_bytes: int, offset: int = 0) -> Iterator[RangeServer]:
    """A running `RangeServer` for as long as the context lasts."""
    with RangeServer(uri, size_bytes, offset) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
