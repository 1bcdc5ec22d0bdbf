"""Weather, water, nature, the city, and music."""

from __future__ import annotations

from typing import Final

from model.captions.adverbials import FOREST, INSIDE, LASTING, LIVELY, OUTSIDE, PLAYED, PUBLIC, STAGE, STREET, WATERSIDE
from model.captions.kind import Kind, kind

ROOFS: Final = "on a tin roof, on a window, on a tent, on leaves, on an umbrella, on the pavement, on a car, on a lake"
HEARD_OUTSIDE: Final = f"{OUTSIDE}, {STREET}, over the hills, over the sea, across the valley"

WEATHER: Final[tuple[Kind, ...]] = (
    kind(
        "rain, heavy rain, light rain, a downpour, drizzle, a summer shower, hail, sleet, freezing rain",
        "fall, patter, drum, pour down, beat, splash, come down, begin to fall, stop, ease off",
        many="raindrops, hailstones, heavy drops",
        names="rain, steady rain, a rainstorm, the patter of rain, a cloudburst, water running down a drainpipe",
        how="heavily, softly, steadily, harder and harder, without a pause, in sheets",
        where=ROOFS,
    ),
    kind(
        "thunder, a thunderstorm, distant thunder, a clap of thunder, a storm",
        "rumble, crack, roll, roar, strike, boom, crash, growl, echo, draw near",
        many="thunderclaps, storm clouds",
        names="thunder, the rumble of thunder, a thunderclap, a rolling thunderstorm, thunder and rain",
        how="loudly, suddenly, again and again, deeply, for a long time",
        where=HEARD_OUTSIDE,
    ),
    kind(
        "wind, a strong wind, a breeze, a gale, a storm, a cold wind, a gust of wind, a blizzard, a hurricane",
        "howl, blow, whistle, rustle the leaves, roar, moan, shake the windows, sweep over the grass, "
        "rattle a shutter, "
        "blow into the microphone, flap {cloth}, whistle around the corner, sigh in the chimney",
        many="gusts, strong winds",
        names="howling wind, a gust of wind, wind in the trees, wind noise, a snowstorm",
        how="hard, softly, louder and louder, in gusts, steadily, coldly",
        where=f"{OUTSIDE}, on a mountain, in the desert, at the sea, on a plain, between houses",
    ),
)

WATER: Final[tuple[Kind, ...]] = (
    kind(
        "a stream, a river, a brook, a waterfall, a mountain stream, a spring, rapids, a canal, a torrent",
        "flow, gurgle, babble, rush, roar, trickle, run over stones, murmur, splash, bubble",
        many="streams, waterfalls",
        names="flowing water, a babbling brook, the roar of a waterfall, the murmur of a stream, white water",
        how=LASTING,
        where=f"{FOREST}, in a valley, under a bridge, between rocks, in a cave",
    ),
    kind(
        "the sea, the ocean, a wave, the surf, the tide, a lake",
        "crash on the shore, roll in, wash over pebbles, roar, lap against a boat, break on the rocks, "
        "lap at the pier, "
        "slosh, surge, swell",
        many="waves, big waves, small waves, breakers",
        names="ocean waves, surf, breaking waves, the lapping of water, the roar of the sea",
        how="gently, heavily, slowly, with force, steadily, wildly",
        where="on a beach, in a harbour, in a cave, on the rocks, in a storm",
    ),
    kind(
        "a tap, a leaking pipe, a faucet, a gutter, a shower, a drain, a fountain, a garden hose, a toilet, "
        "a water pump, a bathtub, a sprinkler, a water pipe, a fish tank",
        "drip, run, gurgle, leak, splash, trickle, hiss, spray, fill, drain, spurt, bubble",
        many="taps, sprinklers, pipes, fountains, showers",
        names="dripping water, running water, a running shower, water going down the drain, water filling {vessel}, "
        "a splashing fountain, bubbles in water, a water drop",
        how=LASTING,
        where=f"{INSIDE}, in a bathroom, in a cave, in a cellar, in a garden",
    ),
    kind(
        "{liquid}, a cold drink, a fizzy drink",
        "pour into {vessel}, slosh in {vessel}, drip into {vessel}, bubble, fizz, splash on {floor}, overflow from "
        "{vessel}, trickle out of {vessel}, spill on {floor}, boil over",
        names="pouring water, {liquid} being poured into {vessel}, fizz, a splash, a gurgle",
        how="slowly, quickly, steadily, in a thin stream, drop by drop",
        where="in a kitchen, in a bar, on a table",
    ),
    kind(
        "a stone, a fish, a diver, a bucket, a boat, a paddle, a pebble, an anchor",
        "splash into the water, plunge into a lake, hit the water, sink with a gurgle, skip over the water",
        many="stones, fish, pebbles, paddles",
        names="a splash, a loud splash, a plop, bubbles under water",
        how="loudly, softly, again and again, heavily",
        where=WATERSIDE,
    ),
)

NATURE: Final[tuple[Kind, ...]] = (
    kind(
        "a branch, a twig, a tree, a falling tree, the undergrowth, a bush, dry grass, a pile of leaves, bamboo",
        "crack, snap, rustle, creak, sway, fall to the ground, break, swish",
        many="leaves, dry leaves, trees, branches, reeds",
        names="rustling leaves, a snapping twig, a tree falling, steps in dry leaves",
        how="softly, in the wind, loudly, suddenly, gently",
        where=FOREST,
    ),
    kind(
        "a volcano, a geyser, an earthquake, a mud pool, the ground",
        "rumble, thunder, roar, shake, bubble, hiss",
        many="volcanoes, geysers, hot springs",
        names="a deep rumble, bubbling mud, the eruption of a volcano",
        how="loudly, deeply, suddenly, for a long time",
        where="in the distance, on an island, under the sea, in a valley",
    ),
    kind(
        "the ice on a lake, a glacier, an icicle, a sheet of ice, a frozen river",
        "crack, creak, groan, break, snap, split",
        many="ice floes, icicles, glaciers",
        names="cracking ice, the song of a frozen lake",
        how="loudly, slowly, suddenly, again and again",
        where="in the cold, on a lake, in the mountains, under a skate",
    ),
    kind(
        "an avalanche, a rock, a landslide, a boulder, a heap of gravel",
        "roll down a slope, crash into the valley, thunder down, rumble, slide, tumble down a cliff",
        many="rocks, stones, boulders",
        names="falling rocks, a rockfall, sliding gravel",
        how="loudly, slowly, suddenly, heavily, with a roar",
        where="in the mountains, on a slope, in a valley, in a canyon",
    ),
)

CITY: Final[tuple[Kind, ...]] = (
    kind(
        "traffic, city traffic, rush-hour traffic, a motorway, the street, a busy crossing",
        "roar, rumble, hum, move past, swell and fade, murmur",
        names="traffic noise, city noise, the hum of a motorway, a busy street, car horns and traffic, a street scene",
        how=LASTING,
        where="in the city, under a bridge, in the rain, outside a window, in a tunnel",
    ),
    kind(
        "a market, a restaurant, a cafe, a train station, a playground, a school yard, a shopping mall, a fairground, "
        "an airport hall, a swimming pool, a party, a bar, a museum, a hospital ward",
        "buzz with voices, hum with people, echo with footsteps, fill with chatter, come to life, fall silent",
        names="the chatter of a restaurant, children on a playground, the bustle of a market, a station announcement, "
        "a party, background voices, people in a cafe, a merry-go-round, a street vendor's cry, "
        "an airport announcement",
        how=LASTING,
        where="in the city, on a busy afternoon, before closing time, during a break",
    ),
)

MUSIC: Final[tuple[Kind, ...]] = (
    kind(
        "a man, a woman, someone, a child, a musician, a beginner, a street musician, a student, a virtuoso",
        "play {keyboard}, play {string}, play {wind}, play {drum}, strum {string}, pluck {string}, tune {string}, "
        "play {tune} on {keyboard}, play {tune} on {string}, play {tune} on {wind}, practise {tune} on {wind}, "
        "practise {tune} on {string}, practise {tune} on {keyboard}, beat {drum}, strike {drum}, "
        "tap a rhythm on {drum}, "
        "blow into {wind}, scratch a record, improvise on {keyboard}, improvise on {string}",
        many="two musicians, students, street musicians",
        names="a drum roll, a drum solo, a guitar riff, a piano chord, a trumpet fanfare, a cymbal crash",
        how=PLAYED,
        where=f"{STAGE}, {PUBLIC}",
    ),
    kind(
        "a piano, a violin, a guitar, a flute, a trumpet, an organ, a harp, a cello, an accordion, a music box, "
        "a saxophone, a clarinet, a bagpipe, a double bass, a street organ, a synthesizer",
        "play, play {tune}, sound, begin, fade out, hold a note, play and stop",
        many="violins, guitars, trumpets, flutes, bagpipes",
        names="piano music, a violin solo, guitar music, organ music, a flute melody, a bass line, a music box",
        how=PLAYED,
        where=STAGE,
    ),
    kind(
        "a drum, a snare drum, a gong, a cymbal, a tambourine, a bass drum, a drum machine, a rattle, a triangle",
        "beat, roll, crash, sound, pound, ring, jingle, keep the rhythm",
        many="drums, cymbals, bongos, maracas, timpani",
        names="a drum beat, drumming, a steady rhythm, a cymbal roll, percussion, the boom of a bass drum",
        how=PLAYED,
        where=STAGE,
    ),
    kind(
        "a band, an orchestra, a brass band, a rock band, a jazz trio, a string quartet, a marching band, "
        "a folk group, "
        "a disc jockey, a wedding band, a school orchestra",
        "play, play {tune}, tune up, begin to play, play and stop, rehearse, march past, play at a party",
        many="bands, musicians",
        names="classical music, rock music, jazz, techno, dance music, film music, folk music, music from a car, "
        "background music, a symphony, carnival music, electronic music, an orchestra tuning up",
        how=PLAYED,
        where=f"{STAGE}, {OUTSIDE}, on the radio",
    ),
    kind(
        "a heart, a pulse, a stomach, a joint, a foetal heart monitor",
        "beat, thump, growl, rumble, crack, pound, beat faster",
        names="a heartbeat, a growling stomach, a steady pulse",
        how=LIVELY,
        where="through a stethoscope, in the chest, in a quiet room",
    ),
)
