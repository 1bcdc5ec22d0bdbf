"""Notes as a Standard MIDI File of one track: all that a synthesizer needs to play a phrase."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

DRUMS: Final = 9
"""The channel of General MIDI's drums, 0-based."""
TICKS: Final = 480
"""Of a quarter note, which lasts half a second at MIDI's usual tempo."""


@dataclass(frozen=True)
class Note:
    """A key (60 is middle C) that is held for a time; velocity from 1 to 127."""

    start_seconds: float
    length_seconds: float
    key: int
    velocity: int
    channel: int = 0


def midi_file(notes: Sequence[Note], program: int) -> bytes:
    """The file's bytes, its first channel playing `program` (0 to 127)."""
    events = [(0, bytes([0xC0, program]))]
    for note in notes:
        start, end = (round(at * 2 * TICKS) for at in (note.start_seconds, note.start_seconds + note.length_seconds))
        events.append((start, bytes([0x90 | note.channel, note.key, note.velocity])))
        events.append((max(end, start + 1), bytes([0x80 | note.channel, note.key, 0])))
    events.sort(key=lambda event: event[0])
    track, now = b"", 0
    for tick, message in events:
        track += _quantity(tick - now) + message
        now = tick
    track += _quantity(0) + b"\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS) + b"MTrk" + struct.pack(">I", len(track)) + track


def _quantity(value: int) -> bytes:
    """A number as MIDI writes it: seven bits a byte, the highest bit set in all but the last."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(0x80 | (value & 0x7F))
    return bytes(reversed(digits))
