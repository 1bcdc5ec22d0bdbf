"""What people handle at home, and things that fall, break, creak and rub."""

from __future__ import annotations

from typing import Final

from model.captions.adverbials import HANDLED, INSIDE, KITCHEN, LASTING, OFFICE, OUTSIDE, REPEATED
from model.captions.kind import Kind, kind

PERSON: Final = "someone, a man, a woman, a child, a person, a cook, a waiter, an old woman, a cleaner"

HOUSEHOLD: Final[tuple[Kind, ...]] = (
    kind(
        PERSON,
        "open {door}, close {door}, slam {door}, lock {door}, unlock {door}, knock on {surface}, bang on {surface}, "
        "open and close {door}, rattle {door}, turn a key in a lock, ring at the door, pull open {door}",
        many="two people, children",
        names="a knock on {surface}, a door slam, a lock being turned, knocking, three knocks",
        how=HANDLED,
        where=INSIDE,
    ),
    kind(
        "a door, a gate, a cupboard door, a floorboard, a wooden floor, a rocking chair, a bed, a swing, a hinge, "
        "an old ladder, a wooden stair, a leather chair, a rope, a barn door",
        "creak, squeak, groan, slam shut, swing open, rattle, fall shut, click shut, thud",
        many="floorboards, shutters, old stairs, hinges",
        names="a creak, a squeaking hinge, a rattling window, creaking wood, a click, a latch",
        how="slowly, loudly, eerily, in the wind, again and again, under somebody's weight",
        where=f"{INSIDE}, in an old house, on a ship",
    ),
    kind(
        PERSON,
        "wash the dishes, stack plates, chop vegetables, stir a cup of tea, fry onions, beat eggs, set the table, "
        "drop {brittle}, clink glasses, open a bottle of wine, open a can of soda, pour {liquid} into {vessel}, "
        "pour {grains} into {vessel}, fill {vessel} with {liquid}, grate cheese, peel potatoes, knead dough, "
        "put a pan on the stove, turn on a tap, crush ice, shake a box of {grains}, scrape a plate, unwrap a candy, "
        "tear open a bag of {grains}, uncork a bottle, stir {liquid} in {vessel}, slice bread, crack an egg, "
        "light a gas stove, rattle cutlery in a drawer, put {vessel} on the table, clean {vessel}",
        many="two cooks, guests, waiters",
        names="the clatter of dishes, clinking glasses, cutlery on plates, a popping cork, chopping on a board, "
        "frying, the clink of ice cubes, sizzling bacon, a toaster popping up",
        how=HANDLED,
        where=KITCHEN,
    ),
    kind(
        "a kettle, a pot of water, a pot of soup, a coffee machine, an espresso machine, a pressure cooker",
        "boil, bubble, hiss, whistle, simmer, gurgle, steam, boil over",
        many="two pots, coffee machines",
        names="boiling water, a whistling kettle, bubbling stew",
        how=LASTING,
        where="in a kitchen, on a stove, on a kitchen counter, over a fire",
    ),
    kind(
        "a steak, a frying pan, bacon, oil in a pan, an egg, a piece of butter, fat",
        "sizzle, hiss, splutter, fry, crackle, pop",
        many="sausages, onions, potatoes",
        names="sizzling, frying, popping corn",
        how=LASTING,
        where="in a pan, in a kitchen, on a grill, on a stove",
    ),
    kind(
        PERSON,
        "crumple {paper}, tear {paper}, fold {paper}, turn the pages of a book, write with a pencil, cut {paper}, "
        "write on a blackboard, staple papers, shuffle cards, erase a word, open an envelope, flip through {paper}, "
        "sharpen a pencil, peel off tape, stamp a document, unroll {paper}, click a pen, drop {thing} on the desk, "
        "type on a keyboard, type a letter, leaf through a book, count coins, use a calculator",
        many="students, two clerks",
        names="rustling paper, turning pages, the scratch of a pencil, tearing paper, scissors, cards being shuffled, "
        "chalk on a blackboard, a crumpled plastic bag, bubble wrap",
        how=HANDLED,
        where=OFFICE,
    ),
    kind(
        PERSON,
        "zip up a jacket, shake out {cloth}, tear {cloth}, brush the teeth, comb the hair, sweep the floor, "
        "scrub a pot, "
        "strike a match, light a cigarette, take a shower, flush the toilet, make the bed, move a chair, drag a table "
        "over {floor}, iron {cloth}, open an umbrella, pull the curtains, cut hair, spray a window, polish shoes, "
        "inflate a balloon, pop a balloon, wind up a clock, flick a switch, jingle keys, pack a suitcase, wring out "
        "{cloth}, beat a carpet, rummage in a drawer, roll down a blind, shave, wrap a present, fasten a belt",
        many="two people, children, movers",
        names="a zipper, brushing teeth, sweeping, a toilet flush, a lighter, rustling clothes, jingling keys, "
        "a light switch, scissors cutting hair, velcro, a camera flash, a balloon popping",
        how=HANDLED,
        where=f"{INSIDE}, in a bathroom, in a bedroom",
    ),
    kind(
        "{brittle}, a window, a chandelier, a stack of plates, a tray of glasses, a shop window",
        "break, shatter, fall on {floor}, crack, smash on {floor}, clink, roll over {floor}",
        many="glasses, plates, bottles, shards",
        names="breaking glass, shattering dishes, falling shards, broken glass underfoot",
        how="loudly, suddenly, into pieces, one after another, with a crash",
        where=f"{INSIDE}, {KITCHEN}",
    ),
    kind(
        "{metal}, {thing}, a marble, a ball, a shelf, a heavy object, a toolbox, a stack of chairs",
        "fall on {floor}, drop on {floor}, roll across {floor}, bounce on {floor}, slide over {floor}, hit {floor}, "
        "tumble down the stairs, land on {floor}, crash to the ground, scrape over {floor}, knock against {surface}",
        many="coins, boxes, marbles, pots and pans, stones",
        names="a thud, a metallic clang, a dull thump, a loud bang, rattling chains, clinking coins, a rolling ball, "
        "a splintering crash, scraping metal, a hollow knock",
        how="loudly, suddenly, heavily, with a clang, with a thud, one after another, twice",
        where=INSIDE,
    ),
    kind(
        "a fire, a campfire, a wood fire, a fireplace, a bonfire, a torch, a burning house, a gas flame",
        "crackle, burn, hiss, roar, pop, flare up, crackle and pop, smoulder and hiss",
        many="flames, burning logs",
        names="a crackling fire, the roar of flames, a match being struck, embers",
        how=LASTING,
        where=f"{OUTSIDE}, in a hearth, in a stove, in a forest",
    ),
    kind(
        "a firework, a firecracker, a rocket, a bomb, a gas bottle, dynamite",
        "explode, go off, bang, whistle and explode, boom, crackle, hiss and explode",
        many="fireworks, firecrackers, rockets",
        names="an explosion, the whistle of a rocket, a distant boom, a firework display",
        how=REPEATED,
        where=f"{OUTSIDE}, over the city, in a quarry, in a valley",
    ),
    kind(
        "a gun, a cannon, a rifle, a machine gun, a pistol, a shotgun",
        "fire, go off, bang, fire a salvo, echo, click",
        many="rifles, guns, cannons",
        names="gunshots, a volley of shots, a ricochet, a gun being loaded",
        how=REPEATED,
        where=f"{OUTSIDE}, on a shooting range, on a battlefield, in a valley",
    ),
)
