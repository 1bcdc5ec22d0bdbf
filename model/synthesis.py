"""Everyday sounds from code alone: a small procedural generator per label, no two draws alike.

They widen the training data and are the ground truth of the demo. Contract: `synthesise` returns exactly
`round(seconds * sample_rate)` mono float32 samples with a peak of 0.5; the same generator state gives the same bytes.
Half of the draws have gaps and onsets, the others go on without a pause. No label here is one that is held out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.synthesis_animals import chirping_birds, crying_baby, dog, rooster, sneezing
from model.synthesis_house import clock_tick, door_wood_knock, doorbell, footsteps, laser_gun, morse_code, phone_ringing
from model.synthesis_instruments import acoustic_guitar, bass_drum, flute, hi_hat, organ, snare_drum, violin
from model.synthesis_machines import chainsaw, engine, helicopter, vacuum_cleaner
from model.synthesis_parts import Random, Signal
from model.synthesis_weather import crackling_fire, rain, sea_waves, water_drops, wind

Draw = Callable[[int, int, Random], Signal]

PEAK: Final = 0.5

SYNTHESIS_CAPTIONS: Final[dict[str, list[str]]] = {
    "dog": ["a dog barking", "a dog barks loudly", "the bark of a dog"],
    "rooster": ["a rooster crowing", "a cock crows in the morning", "the crow of a rooster"],
    "crying_baby": ["a baby crying", "an infant wails", "the crying of a baby"],
    "sneezing": ["a person sneezing", "someone sneezes", "a loud sneeze"],
    "helicopter": ["a helicopter flying", "helicopter rotor blades chop the air", "the noise of a helicopter"],
    "chainsaw": ["a chainsaw running", "someone cuts wood with a chainsaw", "the whine of a chainsaw"],
    "engine": ["an engine idling", "a car engine runs", "the rumble of a motor"],
    "vacuum_cleaner": ["a vacuum cleaner running", "someone vacuums the floor", "the hum of a vacuum cleaner"],
    "sea_waves": ["sea waves", "waves break on the shore", "the surf of the ocean"],
    "rain": ["rain falling", "heavy rain pours down", "the patter of rain"],
    "wind": ["wind blowing", "strong wind howls", "gusts of wind"],
    "crackling_fire": ["a crackling fire", "wood burns and crackles", "a campfire crackling"],
    "water_drops": ["water dripping", "drops of water fall", "a dripping tap"],
    "chirping_birds": ["birds chirping", "small birds sing", "the chirping of birds"],
    "clock_tick": ["a clock ticking", "the tick of a clock", "a clock ticks steadily"],
    "footsteps": ["footsteps", "someone walks on a hard floor", "the steps of a person walking"],
    "door_wood_knock": ["someone knocking on a door", "knocks on a wooden door", "a knock at the door"],
    "phone_ringing": ["a telephone ringing", "a phone rings", "the ring of an old telephone"],
    "doorbell": ["a doorbell ringing", "the doorbell rings", "ding dong at the door"],
    "laser_gun": ["a laser gun firing", "science fiction laser shots", "zapping laser sounds"],
    "morse_code": ["morse code beeping", "a morse code signal", "short and long radio beeps"],
    "organ": ["a church organ playing", "chords on a pipe organ", "organ music"],
    "flute": ["a flute playing", "a flute melody", "someone blows a flute note"],
    "violin": ["a violin playing", "someone bows a violin", "a violin melody"],
    "acoustic_guitar": ["an acoustic guitar playing", "plucked guitar strings", "notes on a guitar"],
    "bass_drum": ["a bass drum hit", "a kick drum thumps", "the boom of a bass drum"],
    "snare_drum": ["a snare drum", "a snare drum being hit", "rattling snare hits"],
    "hi_hat": ["a hi-hat cymbal", "hits on a hi-hat", "the sizzle of a hi-hat"],
}

GENERATORS: Final[dict[str, Draw]] = {
    "dog": dog, "rooster": rooster, "crying_baby": crying_baby, "sneezing": sneezing,
    "helicopter": helicopter, "chainsaw": chainsaw, "engine": engine, "vacuum_cleaner": vacuum_cleaner,
    "sea_waves": sea_waves, "rain": rain, "wind": wind, "crackling_fire": crackling_fire,
    "water_drops": water_drops, "chirping_birds": chirping_birds, "clock_tick": clock_tick,
    "footsteps": footsteps, "door_wood_knock": door_wood_knock, "phone_ringing": phone_ringing,
    "doorbell": doorbell, "laser_gun": laser_gun, "morse_code": morse_code, "organ": organ, "flute": flute,
    "violin": violin, "acoustic_guitar": acoustic_guitar, "bass_drum": bass_drum, "snare_drum": snare_drum,
    "hi_hat": hi_hat,
}  # fmt: skip


def synthesise(label: str, seconds: float, sample_rate: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """One draw of `label`: `Tensor[T]`, mono float32, peak 0.5.

    >>> synthesise("dog", 2.0, 16000, np.random.default_rng(0)).shape
    (32000,)
    """
    if label not in GENERATORS:
        raise ValueError(f"no generator for {label = }; known are {', '.join(sorted(GENERATORS))}")
    n = round(seconds * sample_rate)
    if n < sample_rate // 2:
        raise ValueError(f"{seconds = } is too short: a draw needs at least half a second")
    signal = GENERATORS[label](n, sample_rate, generator)
    signal = signal - signal.mean()
    peak = float(np.abs(signal).max())
    if peak == 0.0:
        raise ValueError(f"the draw of {label = } over {seconds = } came out silent; ask for more seconds")
    return np.asarray(PEAK * signal / peak, dtype=np.float32)
