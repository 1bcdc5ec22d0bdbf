"""Notes as a MIDI file: the bytes that the standard asks for."""

from __future__ import annotations

from workflows.training.midi import DRUMS, Note, midi_file

HEAD = b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xe0MTrk"


def test_one_note_is_a_program_a_key_pressed_and_released_and_an_end() -> None:
    track = b"\x00\xc0\x28" + b"\x00\x90\x3c\x64" + b"\x83\x60\x80\x3c\x00" + b"\x00\xff\x2f\x00"  # 480 ticks: 83 60
    assert midi_file([Note(0.0, 0.5, 60, 100)], program=40) == HEAD + len(track).to_bytes(4, "big") + track


def test_notes_sound_in_the_order_of_their_time_and_drums_on_their_channel() -> None:
    late, early = Note(1.0, 0.25, 62, 90), Note(0.0, 2.0, 38, 80, DRUMS)
    track = midi_file([late, early], program=0)[len(HEAD) + 4 :]
    order = [track.index(event) for event in (b"\x99\x26\x50", b"\x90\x3e\x5a", b"\x80\x3e\x00", b"\x89\x26\x00")]
    assert order == sorted(order)


def test_a_note_too_short_for_a_tick_still_ends_after_it_begins() -> None:
    track = midi_file([Note(0.0, 0.0, 60, 100)], program=0)
    assert b"\x01\x80\x3c\x00" in track
