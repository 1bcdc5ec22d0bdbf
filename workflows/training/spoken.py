"""Speech in many voices by espeak-ng, as sound to train on: man and woman, several languages and accents.

`speak(label, seconds, sample_rate, generator)` returns one draw of a label of `SPOKEN_CAPTIONS`; the same generator
state gives the same bytes of one version of espeak-ng.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from typing import Final

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from workflows.training.clip_list import TrainingDataError

PROGRAM: Final = "espeak-ng"
MOST_SECONDS: Final = 60
SPOKEN_CAPTIONS: Final[dict[str, list[str]]] = {
    "male_speech": ["a man speaking", "a man is talking", "the voice of a man", "male speech"],
    "female_speech": ["a woman speaking", "a woman is talking", "the voice of a woman", "female speech"],
}
VARIANTS: Final = {
    "male_speech": ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8"),
    "female_speech": ("f1", "f2", "f3", "f4", "f5"),
}
WHO: Final = (
    "my neighbour",
    "the old captain",
    "nobody here",
    "our teacher",
    "the doctor",
    "a friend of mine",
    "she",
    "he",
)
DOES: Final = ("has lost", "will bring", "never liked", "is looking for", "talked about", "paid for", "cannot find")
WHAT: Final = (
    "the last train home",
    "two cups of tea",
    "a letter from the office",
    "the garden behind the house",
    "your blue coat",
    "seven small boxes",
    "the news of the day",
)
WHEN: Final = ("this morning", "on Tuesday", "before it rains", "as far as I know", "if you ask me", "again and again")
LANGUAGES: Final[dict[str, tuple[str, ...]]] = {
    "en-us": (), "en-gb": (), "en-gb-scotland": (), "en-gb-x-rp": (),
    "de": ("Der Zug nach Hamburg hat heute leider Verspätung", "Bitte schließen Sie das Fenster, es zieht",
           "Wir treffen uns morgen um halb neun am Bahnhof"),
    "fr-fr": ("Le marché est ouvert tous les samedis matin", "Il faut tourner à gauche après le pont",
              "Nous avons mangé du pain et du fromage"),
    "es": ("La casa de mi abuela está cerca del río", "Mañana vamos a comprar fruta y verdura",
           "No sé dónde he dejado las llaves"),
    "cmn": ("今天天气很好我们去公园走走", "请问火车站怎么走", "他每天早上喝一杯茶"),
}  # fmt: skip
"""Voices with what they say; the English ones make sentences of the lists above."""


def check_speech() -> str:
    """Where espeak-ng lies. Raises TrainingDataError where it is missing."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise TrainingDataError(f"{PROGRAM} is not installed, and --data speech needs it: apt-get install {PROGRAM}")
    return program


def speak(label: str, seconds: float, sample_rate: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """One draw: sentences of one voice, Tensor[T] mono float32 with a peak of 0.5. Raises TrainingDataError without
    espeak-ng."""
    program = check_speech()
    language = str(generator.choice(list(LANGUAGES)))
    variant = str(generator.choice(VARIANTS[label]))
    words_a_minute, pitch = (int(generator.integers(*limits)) for limits in ((120, 220), (25, 75)))
    wanted, said = round(seconds * sample_rate), np.zeros(0, np.float32)
    while len(said) < wanted:
        asked = [program, "-v", f"{language}+{variant}", "-s", str(words_a_minute), "-p", str(pitch)]
        try:
            told = subprocess.run(
                [*asked, "--stdout", _sentence(language, generator)],
                capture_output=True,
                check=False,
                timeout=MOST_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise TrainingDataError(
                f"{PROGRAM} took more than {MOST_SECONDS} s for a sentence; is it stuck?"
            ) from error
        if told.returncode != 0 or not told.stdout:
            raise TrainingDataError(f"{PROGRAM} said nothing as {language}+{variant}: {told.stderr.decode()[:200]}")
        spoken, rate = soundfile.read(io.BytesIO(told.stdout), dtype="float32")
        pause = np.zeros(int(generator.uniform(0.05, 0.8) * sample_rate), np.float32)
        said = np.concatenate([said, pause, soxr.resample(spoken, rate, sample_rate).astype(np.float32)])
    said = said[:wanted]
    heard: NDArray[np.float32] = said * np.float32(0.5 / max(1e-6, float(np.abs(said).max())))
    return heard


def _sentence(language: str, generator: np.random.Generator) -> str:
    if lines := LANGUAGES[language]:
        return str(generator.choice(lines))
    who, does, what, when = (str(generator.choice(words)) for words in (WHO, DOES, WHAT, WHEN))
    return f"{who} {does} {what} {when}."
