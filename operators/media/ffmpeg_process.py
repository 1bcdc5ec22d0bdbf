"""Running ffmpeg and ffprobe: stdin closed, own process group, a deadline that kills the whole group.

`run` is for short answers (a probe); `PcmPipe` is for a decode whose output is read piece by piece; `PcmSink` is for an
encode that is fed piece by piece.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PIPE_BYTES: Final = 1 << 20  # the kernel's limit for ordinary users; with 64 KiB a decode is 10 % slower
STDERR_BYTES: Final = 1 << 16  # what is read of a decode that complains without end
PROTOCOLS: Final = "file,subfile,http,tcp"  # a playlist in disguise must not reach anything else


class MediaTimeoutError(Exception):
    """ffmpeg or ffprobe did not answer in time and was killed with its process group."""


def require_programs() -> None:
    """Raises FileNotFoundError when ffmpeg or ffprobe is not on PATH: better once than as a failure of every source."""
    missing = [name for name in ("ffmpeg", "ffprobe") if shutil.which(name) is None]
    if missing:
        raise FileNotFoundError(f"{' and '.join(missing)} not found on PATH; `soundquarry doctor` tells how to get it")


@dataclass(frozen=True)
class Finished:
    """What a finished process left behind."""

    returncode: int
    stdout: bytes
    stderr: str


def run(command: Sequence[str], timeout_seconds: float) -> Finished:
    """The result of `command`; raises `MediaTimeoutError` after `timeout_seconds`.

    >>> run(["ffmpeg", "-version"], timeout_seconds=10).returncode
    0
    """
    process = _start(command, subprocess.PIPE)
    try:
        stdout, stderr = process.communicate(timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        raise MediaTimeoutError(f"{command[0]} gave no answer within {timeout_seconds:g} s") from None
    finally:
        _kill_group(process)
    return Finished(process.returncode, stdout, stderr.decode(errors="replace"))


class PcmPipe:
    """A running ffmpeg that writes raw samples to its standard output."""

    def __init__(self, command: Sequence[str]) -> None:
        # A file, not a pipe: a process that complains a lot can never block on it.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        self._process = _start(command, self._stderr.fileno())
        assert self._process.stdout is not None
        self._stdout = self._process.stdout.fileno()
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._stdout, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def read_into(self, buffer: memoryview, deadline: float) -> int:
        """Bytes read into `buffer`: as many as fit, fewer only at the end of the stream.

        `deadline` is on the clock of `time.monotonic`; past it the process is killed and `MediaTimeoutError` raised.
        """
        filled = 0
        while filled < len(buffer):
            ready, _, _ = select.select([self._stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                self.close()
                raise MediaTimeoutError("ffmpeg delivered no more samples before the deadline")
            count = os.readv(self._stdout, [buffer[filled:]])
            if count == 0:
                break
            filled += count
        return filled

    def errors(self) -> str:
        """What ffmpeg has written to its standard error so far (the end of it)."""
        size = os.fstat(self._stderr.fileno()).st_size
        begin = max(0, size - STDERR_BYTES)
        return os.pread(self._stderr.fileno(), STDERR_BYTES, begin).decode(errors="replace")

    def exit_code(self, deadline: float) -> int:
        """The exit code of a process whose output was read to the end."""
        try:
            return self._process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.close()
            raise MediaTimeoutError("ffmpeg did not end after its last sample") from None

    def close(self) -> None:
        """End the process and all it started; harmless when it has ended."""
        _kill_group(self._process)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._stderr.close()

    def __del__(self) -> None:
        if hasattr(self, "_process"):
            self.close()


class PcmSink:
    """A running ffmpeg that takes raw samples on its standard input and writes a file."""

    def __init__(self, command: Sequence[str]) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._stderr.fileno(),
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._stdin = self._process.stdin.fileno()
        os.set_blocking(self._stdin, False)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._stdin, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def write(self, data: memoryview, timeout_seconds: float) -> None:
        """Hands over all of `data`. Raises BrokenPipeError when ffmpeg has ended; `finish` tells why.

        `MediaTimeoutError` when it takes nothing for `timeout_seconds`.
        """
        data = data.cast("B")
        while data:
            _, ready, _ = select.select([], [self._stdin], [], timeout_seconds)
            if not ready:
                self.close()
                raise MediaTimeoutError(f"ffmpeg took no samples for {timeout_seconds:g} s")
            data = data[os.write(self._stdin, data) :]

    def finish(self, timeout_seconds: float) -> Finished:
        """What ffmpeg says after its last sample; its file is then whole, if the code is 0."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            code = self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.close()
            raise MediaTimeoutError(f"ffmpeg did not end its file within {timeout_seconds:g} s") from None
        size = os.fstat(self._stderr.fileno()).st_size
        said = os.pread(self._stderr.fileno(), STDERR_BYTES, max(0, size - STDERR_BYTES))
        return Finished(code, b"", said.decode(errors="replace"))

    def close(self) -> None:
        """End the process; harmless when it has ended."""
        _kill_group(self._process)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._stderr.close()

    def __del__(self) -> None:
        if hasattr(self, "_process"):
            self.close()


def _start(command: Sequence[str], stderr: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True
    )


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
