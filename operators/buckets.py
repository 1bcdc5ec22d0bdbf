"""Small sources in stable groups: which unit a file falls into depends on its URI, not on what else is there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, Final

from operators.media.archive_slice import layers
from operators.media.names import LOSSLESS_EXTENSIONS, PCM_EXTENSIONS, VIDEO_EXTENSIONS, extension
from operators.member import Member, unit_row

BUCKETS: Final = 4096
UNIT_PCM_BYTES: Final = 230 << 20  # what a unit may hold decoded: ten minutes of stereo at 48 kHz
# Decoded bytes (float32, 32 kHz) for a byte of the file: PCM of 16 kHz and 16 bit, FLAC of speech, 64 kbit/s stereo,
# and pictures whose sound takes an eighth of their bytes.
_PCM_FACTOR: Final = 4
_LOSSLESS_FACTOR: Final = 8
_LOSSY_FACTOR: Final = 32
_VIDEO_FACTOR: Final = 4
_BYTES_PER_SECOND: Final = UNIT_PCM_BYTES / 600
_CONTEXT_SECONDS: Final = 20  # on both sides of a clip


class Buckets:
    """Collects small sources and hands out a unit whenever one bucket is full; `rest` are those that are left.

    Only what is not committed yet comes in, so that another grouping never does anything twice.
    """

    def __init__(self, limit_bytes: int = UNIT_PCM_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._members: dict[tuple[int, int], list[Member]] = {}
        self._bytes: dict[tuple[int, int], float] = {}

    def add(self, member: Member, attempt: int) -> Iterator[dict[str, Any]]:
        """Put a whole source into its bucket; yields the bucket's unit when the source does not fit into it any more.

        Attempts do not mix: a file that failed before is not tried together with new ones.
        """
        key = (bucket_of(member.source.uri), attempt)
        size = min(decoded_bytes(member.source.uri, member.source.size_bytes or 0), _clip_bytes(member))
        if self._members.get(key) and self._bytes[key] + size > self._limit_bytes:
            yield self._unit(key)
        self._members.setdefault(key, []).append(member)
        self._bytes[key] = self._bytes.get(key, 0) + size

    def rest(self) -> Iterator[dict[str, Any]]:
        """The units of all buckets that hold something, in the order of the buckets."""
        for key in sorted(self._members):
            yield self._unit(key)

    def _unit(self, key: tuple[int, int]) -> dict[str, Any]:
        self._bytes.pop(key)
        return unit_row(self._members.pop(key), seconds=None, attempt=key[1])


def _clip_bytes(member: Member) -> float:
    """What the stretch that a member asks for takes decoded, at most."""
    end_seconds = math.inf if member.end_seconds is None else member.end_seconds
    return (end_seconds - member.start_seconds + _CONTEXT_SECONDS) * _BYTES_PER_SECOND


def bucket_of(uri: str) -> int:
    """The bucket of a source, from 0 to `BUCKETS` - 1.

    >>> bucket_of("/a.wav") == bucket_of("/a.wav")
    True
    """
    digest = blake2b(uri.encode(errors="surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % BUCKETS


def decoded_bytes(uri: str, size_bytes: int) -> int:
    """A guess, on the safe side, of what a file takes when it is decoded; only its name and size are known."""
    kind = extension(layers(uri)[0])
    if kind in PCM_EXTENSIONS:
        return size_bytes * _PCM_FACTOR
    if kind in LOSSLESS_EXTENSIONS:
        return size_bytes * _LOSSLESS_FACTOR
    return size_bytes * (_VIDEO_FACTOR if kind in VIDEO_EXTENSIONS else _LOSSY_FACTOR)
