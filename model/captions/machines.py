"""Vehicles, machines, tools, and what sounds an alarm."""

from __future__ import annotations

from typing import Final

from model.captions.adverbials import HANDLED, INSIDE, KITCHEN, LASTING, OFFICE, OUTSIDE, REPEATED, SITE, STREET
from model.captions.kind import Kind, kind

PERSON: Final = "a man, a woman, someone, a worker, a carpenter, a mechanic, a plumber"

VEHICLES: Final[tuple[Kind, ...]] = (
    kind(
        "a car, an old car, a sports car, a taxi, a van, a police car, an electric car, a racing car",
        "drive by, pass, start, idle, accelerate, brake hard, honk, skid, start and drive away, stop and idle, "
        "drive over gravel, drive through a puddle, back up, race past, backfire, sound its horn, change gears, crash",
        many="cars, two cars, several vehicles",
        names="a car horn, screeching tires, a revving engine, a turn signal, a car crash, a slamming car door",
        how="fast, slowly, at high speed, with squealing tires, at full throttle, again",
        where=f"{STREET}, in a car park",
    ),
    kind(
        "a truck, a lorry, a bus, a garbage truck, a diesel truck, a fire engine, a school bus, a tractor, a tank",
        "rumble past, idle, brake with a hiss, honk, pull away, beep while backing up, climb a hill, start, pass, "
        "change gears, drive over a metal plate, stop and open its doors, blow its horn",
        many="trucks, buses, lorries",
        names="air brakes, the rumble of a diesel engine, the reversing beeps of a truck",
        how="slowly, heavily, at full throttle, fast, with a rattle",
        where=f"{STREET}, on a motorway, at a bus stop",
    ),
    kind(
        "a motorcycle, a scooter, a moped, a dirt bike, a heavy motorcycle, a quad bike, a go-kart",
        "rev, drive past, start, idle, accelerate, speed away, sputter, start and roar off, slow down, backfire",
        many="motorcycles, scooters, racing bikes",
        names="the roar of a motorcycle, a race of motorcycles",
        how="loudly, at full throttle, fast, several times",
        where=STREET,
    ),
    kind(
        "a train, a freight train, a steam train, a subway train, a tram, a high-speed train, a locomotive",
        "pass, blow its horn, whistle, rattle over the tracks, arrive, brake, screech around a curve, depart, "
        "cross a bridge, roll into the station, hiss, clatter over a switch, ring its bell, chug",
        many="trains, two trams, railway cars",
        names="a train horn, a steam whistle, a railroad crossing bell, the clatter of rails, squealing train brakes",
        how="slowly, at high speed, loudly, with a long whistle, heavily",
        where="in a station, in a tunnel, at a level crossing, on a bridge, underground",
    ),
    kind(
        "a bicycle, a bike, a child's tricycle, a shopping cart, a wheelbarrow, a pram, a rolling suitcase, "
        "a horse cart",
        "squeak, roll over {floor}, rattle, ring its bell, brake, coast, tick past, creak",
        many="bicycles, shopping carts",
        names="a bicycle bell, the ticking of a freewheel, wheels on {floor}",
        how=LASTING,
        where=STREET,
    ),
    kind(
        "a helicopter, a drone, a rescue helicopter, an army helicopter",
        "fly over, take off, land, hover, pass overhead, circle, approach, start its rotor",
        many="helicopters, drones",
        names="the chop of rotor blades, a hovering helicopter",
        how="low, loudly, slowly, high above",
        where="above the city, over a field, over the sea, on a roof",
    ),
    kind(
        "an airplane, a jet, a propeller plane, a fighter jet, a passenger plane, a small plane, an old biplane",
        "fly over, take off, land, pass overhead, taxi, circle, approach, start its engine, roar past",
        many="jets, small planes, airliners",
        names="a jet engine, a sonic boom, the drone of a propeller plane, a plane taking off",
        how="low, loudly, slowly, high above, at full power",
        where="at an airport, above the city, over a field, over the sea",
    ),
    kind(
        "a motorboat, a ship, a ferry, a speedboat, a sailing boat, a tugboat, a steamer, a rowing boat, a jet ski",
        "pass, sound its horn, chug along, start its engine, cut through the waves, dock, creak, rock on the waves, "
        "speed away, knock against the pier",
        many="boats, ships, rowing boats",
        names="a ship's horn, a foghorn, an outboard motor, the splash of oars",
        how="slowly, fast, with a deep rumble, three times",
        where="in a harbour, on a lake, at sea, on a river, in fog",
    ),
    kind(
        "an ambulance, a police car, a fire truck, an emergency vehicle",
        "wail, pass with its siren on, race by, sound its siren, approach with a siren, turn on its siren",
        many="police cars, fire trucks, emergency vehicles",
        names="a siren, the wail of sirens, an ambulance siren",
        how="fast, loudly, at high speed",
        where=STREET,
    ),
    kind(
        "an engine, a motor, a diesel engine, a small engine, a steam engine, an outboard engine, a generator",
        "run, idle, start, sputter, stall, rev up, knock, hum, cough and die, chug, whine, slow down",
        many="engines, motors",
        names="an engine running, the hum of a motor, an engine that will not start",
        how="smoothly, unevenly, steadily, at full power, roughly, faster and faster",
        where=f"{SITE}, under the hood, on a boat",
    ),
)

MACHINES: Final[tuple[Kind, ...]] = (
    kind(
        "a drill, a power drill, a jackhammer, a circular saw, an angle grinder, a chainsaw, a nail gun, a sander, "
        "a hedge trimmer, a lawn mower, a leaf blower, a string trimmer, a brush cutter",
        "start, run, whine, cut through wood, bite into concrete, rev, stop, roar, grind metal, screech, stall, hum",
        many="power tools, two chainsaws, lawn mowers",
        names="drilling, a chainsaw at work, the noise of a lawn mower, grinding metal, a jackhammer on concrete",
        how=LASTING,
        where=f"{SITE}, {OUTSIDE}",
    ),
    kind(
        PERSON,
        "hammer a nail, saw a board, file metal, sand a plank, chop wood, work with {tool}, plane a board, "
        "tighten a screw, dig with a shovel, drop {tool}, split a log, rake leaves, shovel gravel, ratchet a bolt, "
        "drill into a wall, tap on a pipe, sharpen a knife, pull a nail, staple paper to a board, pump up a tire, "
        "spray paint from a can, weld a seam",
        many="workers, two carpenters, road workers",
        names="hammering, sawing, wood chopping, the blows of an axe, a saw in wood, hammering on metal",
        how=HANDLED,
        where=SITE,
    ),
    kind(
        "a vacuum cleaner, a washing machine, a dishwasher, a hair dryer, a blender, a food processor, a mixer, "
        "a tumble dryer, an electric razor, a coffee grinder, an electric toothbrush, a sewing machine, a juicer",
        "run, hum, start, whir, stop, spin, rattle, whine, buzz, vibrate, drone, slow down and stop",
        many="kitchen machines, washing machines, clippers",
        names="the spin cycle of a washing machine, the drone of a vacuum cleaner, a whirring blender",
        how=LASTING,
        where=f"{KITCHEN}, {INSIDE}, in a bathroom, in a laundry",
    ),
    kind(
        "a fridge, a fan, an air conditioner, a ventilator, a heater, a boiler, an extractor hood, a transformer, "
        "a computer, a server, a fluorescent lamp, a radiator, a ceiling fan, a neon sign",
        "hum, buzz, whir, rattle, click on, click off, gurgle, drone, blow, tick, vibrate",
        many="fans, computers, servers, air conditioners",
        names="the hum of a fridge, electric hum, a rattling fan, white noise, room noise",
        how=LASTING,
        where=f"{INSIDE}, {OFFICE}",
    ),
    kind(
        "a printer, a typewriter, a keyboard, a mouse, a copier, a cash register, a fax machine, a camera, a scanner, "
        "a paper shredder, a hard disk, a ticket machine, a telegraph",
        "click, clatter, print a page, whir, beep, jam, tap, start up, ring up a sale, feed paper, rattle",
        many="typewriters, keyboards, cameras, printers",
        names="typing, typing on a keyboard, mouse clicks, a camera shutter, a computer starting, "
        "a ringing cash register",
        how=REPEATED,
        where=f"{OFFICE}, in a shop",
    ),
    kind(
        "a conveyor belt, a compressor, a pump, a crane, an excavator, a bulldozer, a concrete mixer, a loom, "
        "a printing press, a sawmill, an elevator, an escalator, a hydraulic press, a steamroller, a forklift, a winch",
        "run, clank, hiss, thump, start up, grind, beep, squeal, hum, rattle, pound, move a load, turn",
        many="machines, excavators, factory machines, cranes",
        names="factory noise, the beat of a machine, hissing steam, clanking metal, an elevator bell",
        how=LASTING,
        where=SITE,
    ),
    kind(
        "a clock, a wall clock, a grandfather clock, a pocket watch, a metronome, a kitchen timer, a stopwatch",
        "tick, strike the hour, chime, click, tick and stop, ring, strike three",
        many="clocks, many clocks, two watches",
        names="the ticking of a clock, a cuckoo clock, the chime of a clock",
        how=LASTING,
        where=INSIDE,
    ),
    kind(
        "a radio, a television, a loudspeaker, a walkie-talkie, an old record player, a modem, a tape recorder, "
        "a video game, an amplifier, a megaphone, a robot toy",
        "crackle, hiss, play music, beep, hum, buzz, squeal with feedback, play the news, click, whistle, skip",
        many="loudspeakers, radios, video games",
        names="radio static, microphone feedback, the crackle of a record, a dial-up modem, game sounds, white noise",
        how=LASTING,
        where=INSIDE,
    ),
)

ALARMS: Final[tuple[Kind, ...]] = (
    kind(
        "an alarm clock, a smoke alarm, a car alarm, a burglar alarm, a fire alarm, a siren, a buzzer, "
        "a warning signal, "
        "a heart monitor, a microwave oven, a metal detector, a seat belt reminder",
        "beep, go off, sound, ring, buzz, blare, chirp, wail, stop, beep three times",
        many="alarms, sirens, two alarm clocks",
        names="a shrill alarm, beeping, a civil defence siren, an electronic beep, a smoke alarm with a low battery",
        how=LASTING,
        where=f"{INSIDE}, {STREET}",
    ),
    kind(
        "a telephone, an old telephone, a mobile phone, a doorbell, a pager, a phone on a table",
        "ring, vibrate, beep, play a ringtone, chime, ding, buzz, ring and stop",
        many="telephones, two phones",
        names="a ringtone, a dial tone, a busy signal, a ding-dong, a phone being dialled, a text message alert",
        how=REPEATED,
        where=f"{INSIDE}, {OFFICE}",
    ),
    kind(
        "a church bell, a bell, a school bell, a hand bell, a ship's bell, a bicycle bell, a temple bell, "
        "a wind chime, "
        "a gong, a sleigh bell, a cow bell",
        "ring, toll, chime, strike, jingle, clang, sound, ring and fade",
        many="church bells, bells, wind chimes, sleigh bells, small bells",
        names="the ringing of bells, a carillon, the tolling of a bell, tinkling chimes",
        how="slowly, once, twelve times, brightly, over and over, solemnly",
        where=f"{OUTSIDE}, in a tower, in a village, at a school, in a temple",
    ),
    kind(
        "a referee, a policeman, a train conductor, a hunter, a sailor, a lifeguard",
        "blow a whistle, blow a horn, sound an air horn, ring a bell, fire a starting pistol",
        names="a whistle, an air horn, a hunting horn, a kettle whistle, a party horn",
        how=REPEATED,
        where="on a field, in a station, in a stadium, at sea",
    ),
)
