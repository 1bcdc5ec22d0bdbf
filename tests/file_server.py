"""A real HTTP server on this machine for files held in memory: it sends ranges, remembers what it was asked for, and
fails where a test says so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """`files` by path. `asked` holds path and Range of every request, in order."""

    files: dict[str, bytes]
    url: str = ""
    ranges: bool = True
    cut_after: list[int] = field(default_factory=list)
    """So many bytes go out in answer to the next requests, then the connection ends."""
    statuses: list[int] = field(default_factory=list)
    """What the next requests are answered with, instead of bytes."""
    release: threading.Event | None = None
    """Bytes wait for it."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        span = handler.headers.get("Range")
        self.asked.append((handler.path, span))
        if self.statuses:
            return handler.send_error(self.statuses.pop(0))
        content = self.files.get(handler.path)
        if content is None:
            return handler.send_error(404)
        start = int(span.removeprefix("bytes=").rstrip("-")) if span and self.ranges else 0
        if start >= len(content) and start:
            return handler.send_error(416)
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        if self.release is not None:
            self.release.wait(30)
        sent = content[start:][: self.cut_after.pop(0)] if self.cut_after else content[start:]
        handler.wfile.write(sent)
        handler.close_connection = True
        return None


class QuietServer(ThreadingHTTPServer):
    """Says nothing of clients that hang up early."""

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[FileServer]:
    """The server, for as long as the context lasts."""
    server = FileServer(files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.answer(self)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with QuietServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
