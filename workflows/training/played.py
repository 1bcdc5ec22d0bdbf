"""Instruments played by fluidsynth with a General MIDI soundfont, as sound to train on: solo phrases and drum beats.

`play(label, seconds, sample_rate, generator)` returns one draw of a label of `PLAYED_CAPTIONS`; the same generator
state gives the same bytes of one version of fluidsynth and one soundfont.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from workflows.training.clip_list import TrainingDataError
from workflows.training.midi import DRUMS, Note, midi_file

PROGRAM: Final = "fluidsynth"
SOUNDFONT: Final = "SOUNDQUARRY_SOUNDFONT"
"""Names another soundfont than Debian's."""
SOUNDFONTS: Final = ("/usr/share/sounds/sf2/FluidR3_GM.sf2", "/usr/share/sounds/sf2/default-GM.sf2")


@dataclass(frozen=True)
class Instrument:
    """General MIDI programs (0-based) that sound alike, and the lowest and highest key they play."""

    programs: tuple[int, ...]
    keys: tuple[int, int]
    words: tuple[str, ...]
    chords: float = 0.0
    """Share of the notes that are chords."""


@dataclass(frozen=True)
class Drum:
    """Keys of the General MIDI drum channel that one drum sounds by."""

    keys: tuple[int, ...]
    words: tuple[str, ...]


INSTRUMENTS: Final[dict[str, Instrument]] = {
    "violin": Instrument((40,), (55, 93), ("a violin playing", "a violin melody", "someone plays the violin")),
    "cello": Instrument((42,), (36, 69), ("a cello playing", "someone bows a cello", "a cello melody")),
    "double_bass": Instrument((43, 32), (28, 55), ("a double bass playing", "a bowed double bass")),
    "flute": Instrument((73,), (60, 93), ("a flute playing", "a flute melody", "someone plays the flute")),
    "clarinet": Instrument((71,), (50, 89), ("a clarinet playing", "a clarinet melody", "someone plays the clarinet")),
    "saxophone": Instrument((64, 65, 66, 67), (46, 80), ("a saxophone playing", "a saxophone solo")),
    "acoustic_guitar": Instrument((24, 25), (40, 80), ("an acoustic guitar playing", "guitar notes"), 0.4),
    "electric_guitar": Instrument((26, 27, 29, 30), (40, 80), ("an electric guitar", "an electric guitar riff"), 0.3),
    "piano": Instrument((0, 1), (33, 92), ("a piano playing", "someone plays the piano", "piano chords"), 0.4),
    "organ": Instrument((16, 19), (36, 84), ("an organ playing", "a church organ", "organ chords"), 0.6),
    "trumpet": Instrument((56,), (55, 84), ("a trumpet playing", "a trumpet melody", "someone blows a trumpet")),
    "trombone": Instrument((57,), (40, 70), ("a trombone playing", "someone plays the trombone")),
    "french_horn": Instrument((60,), (43, 76), ("a french horn playing", "the call of a horn")),
    "oboe": Instrument((68,), (58, 88), ("an oboe playing", "an oboe melody")),
    "bassoon": Instrument((70,), (36, 68), ("a bassoon playing", "a bassoon melody")),
    "harp": Instrument((46,), (36, 95), ("a harp playing", "plucked harp strings"), 0.3),
    "banjo": Instrument((105,), (48, 84), ("a banjo playing", "someone picks a banjo"), 0.2),
    "marimba": Instrument((12,), (48, 90), ("a marimba playing", "mallets on a marimba")),
    "accordion": Instrument((21,), (48, 86), ("an accordion playing", "someone plays the accordion"), 0.5),
    "harmonica": Instrument((22,), (58, 88), ("a harmonica playing", "someone plays the harmonica")),
}  # fmt: skip
KIT: Final[dict[str, Drum]] = {
    "bass_drum": Drum((35, 36), ("a bass drum", "a kick drum beat", "hits of a bass drum")),
    "snare_drum": Drum((38, 40), ("a snare drum", "snare drum hits", "someone hits a snare drum")),
    "hi_hat": Drum((42, 44, 46), ("a hi-hat", "a hi-hat cymbal", "hits on a hi-hat")),
    "crash_cymbal": Drum((49, 57), ("a crash cymbal", "someone hits a cymbal")),
    "tom_tom": Drum((41, 43, 45, 47, 48, 50), ("tom-toms", "hits on tom-tom drums")),
    "tambourine": Drum((54,), ("a tambourine", "someone shakes a tambourine")),
    "cowbell": Drum((56,), ("a cowbell", "someone hits a cowbell")),
    "claves": Drum((75,), ("claves", "two sticks struck together")),
}  # fmt: skip
PLAYED_CAPTIONS: Final[dict[str, list[str]]] = {name: list(kind.words) for name, kind in (INSTRUMENTS | KIT).items()}
MOST_SECONDS: Final = 120
LEAST_PEAK: Final = 1e-3
"""Of what is played, -60 dBFS; less is a soundfont without the instrument."""
SCALES: Final = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9))


def check_instruments() -> tuple[str, str]:
    """Where fluidsynth and a soundfont lie. Raises TrainingDataError where one is missing."""
    program, named = shutil.which(PROGRAM), os.environ.get(SOUNDFONT)
    if program is None:
        raise TrainingDataError(
            f"{PROGRAM} is not installed, and --data instruments needs it: apt-get install {PROGRAM} fluid-soundfont-gm"
        )
    if named is not None and not Path(named).is_file():
        raise TrainingDataError(f"{SOUNDFONT} is {named!r}, and there is no such file; correct it, or unset it")
    for path in SOUNDFONTS if named is None else (named,):
        if Path(path).is_file():
            with open(path, "rb") as font:
                head = font.read(12)
            if head[:4] != b"RIFF" or head[8:] != b"sfbk":  # fluidsynth would quietly take one of its own
                raise TrainingDataError(f"{path} is no soundfont (SF2 or SF3); name one in {SOUNDFONT}")
            return program, path
    raise TrainingDataError(
        f"no soundfont for {PROGRAM} at {', '.join(SOUNDFONTS)}: apt-get install fluid-soundfont-gm, or name one in "
        f"{SOUNDFONT}"
    )


def play(label: str, seconds: float, sample_rate: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """One draw: Tensor[T] mono float32 with a peak of 0.5. Raises TrainingDataError without fluidsynth or soundfont."""
    if label in KIT:
        midi = midi_file(_beat(KIT[label], seconds, generator), program=0)
    else:
        instrument = INSTRUMENTS[label]
        midi = midi_file(_phrase(instrument, seconds, generator), program=int(generator.choice(instrument.programs)))
    wanted = round(seconds * sample_rate)
    heard = np.zeros(wanted, np.float32)
    mono = _rendered(midi, sample_rate)[:wanted]
    heard[: len(mono)] = mono
    peak = float(np.abs(heard).max())
    if peak < LEAST_PEAK:
        raise TrainingDataError(f"{PROGRAM} played no {label}; is the soundfont one of General MIDI?")
    return heard * np.float32(0.5 / peak)


def _rendered(midi: bytes, sample_rate: int) -> NDArray[np.float32]:
    """The mean of both channels of what fluidsynth makes of a MIDI file."""
    program, font = check_instruments()
    with tempfile.TemporaryDirectory() as folder:
        score, sound, settings = (Path(folder) / name for name in ("phrase.mid", "phrase.wav", "settings"))
        score.write_bytes(midi)
        settings.touch()  # in place of the user's
        where = ["-f", str(settings), "-F", str(sound), font, str(score)]
        asked = [program, "-ni", "-q", "-r", str(sample_rate), "-g", "0.6", *where]
        try:
            told = subprocess.run(asked, capture_output=True, check=False, timeout=MOST_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise TrainingDataError(f"{PROGRAM} took more than {MOST_SECONDS} s for a phrase; is it stuck?") from error
        if told.returncode != 0 or not sound.exists():
            raise TrainingDataError(f"{PROGRAM} cannot play with {font}: {told.stderr.decode()[:200]}")
        stereo, _ = soundfile.read(sound, dtype="float32", always_2d=True)
    mono: NDArray[np.float32] = stereo.mean(axis=1)
    return mono


def _phrase(instrument: Instrument, seconds: float, generator: np.random.Generator) -> list[Note]:
    """A walk along a scale, in which notes are held, short, or left out."""
    low, high = instrument.keys
    tonic, scale = int(generator.integers(12)), SCALES[int(generator.integers(len(SCALES)))]
    keys = [key for key in range(low, high + 1) if (key - tonic) % 12 in scale]
    at, place, notes = float(generator.uniform(0.0, 0.5)), int(generator.integers(len(keys))), list[Note]()
    beat = float(generator.uniform(0.18, 0.9))
    while at < seconds:
        length = beat * float(generator.choice([0.5, 1.0, 1.0, 2.0]))
        place = int(np.clip(place + generator.integers(-3, 4), 0, len(keys) - 1))
        velocity = int(generator.integers(50, 120))
        if not notes or generator.random() > 0.15:
            steps = (0, 2, 4) if generator.random() < instrument.chords else (0,)
            held = length * float(generator.uniform(0.5, 1.0))
            notes += [Note(at, held, keys[min(place + step, len(keys) - 1)], velocity) for step in steps]
        at += length
    return notes


def _beat(drum: Drum, seconds: float, generator: np.random.Generator) -> list[Note]:
    """A pattern of eight steps over and over, or single hits."""
    step = float(generator.uniform(0.1, 0.35))
    pattern = generator.random(8) < generator.uniform(0.15, 0.7)
    pattern[0] = True
    key = int(generator.choice(drum.keys))
    return [
        Note(number * step, 0.1, key, int(generator.integers(60, 127)), DRUMS)
        for number in range(int(seconds / step))
        if pattern[number % 8]
    ]
