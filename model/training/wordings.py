"""Words that cover several labels, and further wordings for common ones.

`GROUPS`: name -> (labels, captions). A group's caption is drawn only when no other sound of the mixture belongs to
the group.
`FURTHER_WORDINGS` are added to the captions of the data set, so that a query in other words finds the sound.
"""

from __future__ import annotations

from typing import Final

GROUPS: Final[dict[str, tuple[list[str], list[str]]]] = {
    "speech": (
        ["male_speech", "female_speech", "female_mandarin_speech", "conversation"],
        [
            "speech",
            "someone speaking",
            "a person talking",
            "human speech",
            "people talking",
            "a voice speaking",
            "someone talks",
        ],
    ),
    "music": (
        [
            "acoustic_guitar",
            "cello",
            "clarinet",
            "double_bass",
            "flute",
            "saxophone",
            "violin",
            "piano",
            "organ",
            "oboe",
            "bassoon",
            "french_horn",
            "trombone",
            "mandolin",
            "banjo",
            "string_section",
            "marimba",
            "vibraphone",
            "electric_guitar",
            "cor_anglais",
            "bass_clarinet",
            "contrabassoon",
            "steel_drum",
        ],
        ["music", "music playing", "a musical instrument", "someone plays an instrument", "a melody"],
    ),
    "drums": (
        ["bass_drum", "snare_drum", "hi_hat", "tom_tom", "tabla", "djembe", "crash_cymbal", "tambourine", "tenor_drum"],
        ["drums", "percussion", "someone plays the drums"],
    ),
    "water": (
        ["sea_waves", "river", "rain", "waterfall", "water_drops", "stream"],
        ["water", "the sound of water", "flowing water"],
    ),
    "engine": (
        ["helicopter", "chainsaw", "engine", "traffic", "propeller_airplane", "lawn_mower"],
        ["an engine running", "a motor", "the noise of an engine"],
    ),
    "footsteps": (
        [
            "footsteps",
            "footsteps_on_grass",
            "footsteps_on_gravel",
            "footsteps_on_metal",
            "footsteps_on_dirt",
            "footsteps_on_wood",
            "footsteps_in_water",
            "footsteps_barefoot",
        ],
        ["footsteps", "someone walking", "steps"],
    ),
}

FURTHER_WORDINGS: Final[dict[str, list[str]]] = {
    "dog": ["dog", "a barking hound", "a puppy barks", "woof woof"],
    "rooster": ["rooster", "a cock crows", "cock-a-doodle-doo"],
    "crying_baby": ["crying baby", "an infant wailing", "a newborn cries", "a baby's cry"],
    "helicopter": ["helicopter", "a chopper flying overhead", "rotor blades", "a helicopter hovers"],
    "chainsaw": ["chainsaw", "a power saw", "a chainsaw revving", "a motor saw cuts a tree"],
    "sea_waves": ["sea waves", "ocean surf", "waves on a beach", "the sea"],
    "rain": ["rain", "rainfall", "raindrops patter", "a downpour"],
    "clock_tick": ["clock tick", "a ticking clock", "tick tock"],
    "crackling_fire": ["crackling fire", "a campfire", "burning wood", "flames crackle"],
    "sneezing": ["sneezing", "a sneeze", "someone sneezes", "achoo"],
    "male_speech": ["a man speaking", "a man talks", "a male voice", "a man's voice"],
    "female_speech": ["a woman speaking", "a woman talks", "a female voice", "a woman's voice"],
    "chirping_birds": ["birds singing", "birdsong", "a bird chirps"],
    "wind": ["wind", "a breeze", "howling wind"],
    "snare_drum": ["snare drum", "a drum"],
    "bass_drum": ["bass drum", "kick drum"],
    "violin": ["violin", "a fiddle"],
    "acoustic_guitar": ["guitar", "a guitar being strummed"],
    "flute": ["flute", "a flute note"],
    "cello": ["cello", "a low bowed string"],
    "saxophone": ["saxophone", "a sax"],
    "clarinet": ["clarinet", "a reed instrument"],
    "double_bass": ["double bass", "a contrabass"],
    "hi_hat": ["hi-hat", "a cymbal"],
}
