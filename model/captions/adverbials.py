"""Adverbials that many kinds of sound share, and the slots that phrases may leave open."""

from __future__ import annotations

from typing import Final

from model.captions.kind import phrases

LASTING: Final = "steadily, without a pause, faintly, at full volume, quietly, for a long time, louder and louder"
REPEATED: Final = "once, twice, three times, again and again, every few seconds, from time to time, in quick succession"
LIVELY: Final = "loudly, softly, excitedly, nervously, all at once, again and again, for a moment, without a pause"
HANDLED: Final = "carefully, quickly, slowly, clumsily, with force, again and again, absent-mindedly"
VOICED: Final = "loudly, quietly, in a low voice, in a high voice, excitedly, slowly, into a microphone, out of breath"
PLAYED: Final = "slowly, fast, softly, loudly, out of tune, with much feeling, over and over"

OUTSIDE: Final = "outside, in a garden, in a park, in a field, in a backyard, behind a fence, near the road"
STREET: Final = (
    "in the street, on a busy road, at a crossing, in an alley, in heavy traffic, under a bridge, in a tunnel"
)
INSIDE: Final = "in a room, in a hallway, in the next room, in a large hall, in an empty house, upstairs"
KITCHEN: Final = "in a kitchen, in a restaurant kitchen, at a table, in a cafe, at a bar, at a picnic"
FARM: Final = "on a farm, in a barn, on a meadow, in a yard, in a stable, behind a gate"
FOREST: Final = "in a forest, in the woods, in the trees, in the undergrowth, at the edge of a forest, in a clearing"
WATERSIDE: Final = "by a lake, at a river, in a swamp, on a beach, near the shore, in a harbour"
SITE: Final = "on a building site, in a workshop, in a garage, in a factory, in a shed, in a hangar"
STAGE: Final = "on a stage, in a concert hall, in a small room, in the street, in a studio, in a church, in a cafe"
PUBLIC: Final = "in a cafe, in a station, in a waiting room, in a classroom, in a shop, in a stairwell, on a playground"
OFFICE: Final = "in an office, at a reception desk, in a quiet room, in a library, in a classroom"

DISTANCES: Final = phrases(
    "in the distance, in the background, close by, far away, nearby, close to the microphone, behind a wall"
)
TIMES: Final = phrases(
    "at night, in the early morning, at dawn, in the evening, on a summer night, on a quiet afternoon, in winter"
)

SLOTS: Final[dict[str, tuple[str, ...]]] = {
    "floor": phrases(
        "a concrete floor, a wooden floor, a stone floor, a tiled floor, a metal plate, a carpet, gravel, sand, "
        "dry leaves, fresh snow, wet grass, a wooden staircase, an iron staircase, asphalt"
    ),
    "metal": phrases(
        "a metal bar, a spoon, a coin, a chain, a bunch of keys, a steel pipe, a tin can, a pan lid, a wrench, a nail, "
        "a metal tray, a handful of screws, a sheet of metal"
    ),
    "thing": phrases(
        "a book, a heavy box, a plank, a suitcase, a plastic bottle, a wooden block, a rubber ball, a stack of papers, "
        "a bag of sand, a stone, a brick, a set of dice"
    ),
    "brittle": phrases(
        "a glass, a plate, a cup, a vase, a light bulb, a window pane, a mirror, an egg, a clay pot, a bottle"
    ),
    "vessel": phrases(
        "a glass, a cup, a bucket, a bowl, a bathtub, a metal pot, a plastic bottle, a sink, a watering can, a barrel"
    ),
    "drink": phrases("water, milk, juice, hot tea, coffee, lemonade, beer, soup, a milkshake"),
    "liquid": phrases("water, milk, juice, hot tea, coffee, a fizzy drink, beer, soup, oil, paint"),
    "grains": phrases("rice, sand, cereal, dry beans, sugar, pebbles, beads, coffee beans, nuts"),
    "door": phrases(
        "a door, a wooden door, a heavy iron door, a car door, a garden gate, a cupboard, a drawer, a window, "
        "a fridge, "
        "a garage door, a sliding door, a mailbox"
    ),
    "surface": phrases(
        "a door, a wooden table, a window, a wall, a metal railing, a desk, a glass jar, a cardboard box, a barrel"
    ),
    "paper": phrases("a newspaper, a letter, wrapping paper, a paper bag, a sheet of paper, cardboard, a map"),
    "crisp": phrases("an apple, potato chips, a carrot, toast, celery, cookies, crackers, nuts"),
    "tune": phrases(
        "a slow melody, a scale, a fast tune, a few chords, a lullaby, a sad song, a dance, a single long note, "
        "a march, "
        "an old folk song, a waltz, arpeggios"
    ),
    "keyboard": phrases("a piano, an organ, a harpsichord, an accordion, a synthesizer, an electric piano, a celesta"),
    "string": phrases(
        "a violin, a cello, a guitar, an electric guitar, a harp, a banjo, a double bass, a ukulele, a mandolin, "
        "a viola, a sitar, a bass guitar, a zither"
    ),
    "wind": phrases(
        "a flute, a clarinet, a saxophone, an oboe, a recorder, a bassoon, a harmonica, a trumpet, a trombone, a tuba, "
        "a french horn, bagpipes, a tin whistle, pan pipes, a didgeridoo"
    ),
    "drum": phrases(
        "a drum kit, a snare drum, a bass drum, bongos, congas, a tambourine, a triangle, cymbals, a hi-hat, "
        "a cowbell, "
        "a xylophone, a marimba, a gong, maracas, castanets, timpani, a hand drum, a woodblock"
    ),
    "tool": phrases("a hammer, a hand saw, a file, a screwdriver, sandpaper, a chisel, an axe, a plane, a spanner"),
    "cloth": phrases("a shirt, a bed sheet, a jacket, a curtain, a flag, a plastic sheet, a sail, a tarpaulin"),
}
