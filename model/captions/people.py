"""People: voices, bodies, steps, meals, sports."""

from __future__ import annotations

from typing import Final

from model.captions.adverbials import (
    HANDLED,
    INSIDE,
    KITCHEN,
    LASTING,
    LIVELY,
    OUTSIDE,
    PUBLIC,
    REPEATED,
    STREET,
    VOICED,
)
from model.captions.kind import Kind, kind

PERSON: Final = "a man, a woman, a child, a boy, a girl, an old man, an old woman, someone, a young man, a person"
PEOPLE: Final = "two people, several people, some children, a few men, a group of women, two friends"

HUMANS: Final[tuple[Kind, ...]] = (
    kind(
        f"{PERSON}, a teacher, a guide, a news reader, a politician, a salesman",
        "talk, speak, whisper, give a speech, read aloud, tell a story, talk on the phone, mumble, explain something, "
        "count to ten, argue, say hello, ask a question, recite a poem, call a name",
        many=PEOPLE,
        names="a conversation, a low murmur of voices, a radio interview, a lecture, a whispered conversation",
        how=VOICED,
        where=f"{INSIDE}, {PUBLIC}, {STREET}",
    ),
    kind(
        f"{PERSON}, an angry man, a frightened woman, a drill sergeant, a coach",
        "shout, yell, scream, call for help, cheer, curse, shriek, cry out in pain, shout orders",
        many=PEOPLE,
        names="a loud scream, angry shouting, a shrill cry",
        how=LIVELY,
        where=f"{OUTSIDE}, {STREET}, {INSIDE}",
    ),
    kind(
        f"{PERSON}, a baby, a toddler, a class of children",
        "laugh, giggle, chuckle, burst out laughing, snicker, laugh and clap",
        many=PEOPLE,
        names="laughter, the laughter of children, canned laughter, a roar of laughter",
        how=LIVELY,
        where=f"{INSIDE}, {PUBLIC}, {OUTSIDE}",
    ),
    kind(
        f"a baby, a newborn, a toddler, an infant, {PERSON}",
        "cry, sob, weep, wail, whimper, moan, cry and sniff",
        names="the crying of a baby, quiet sobbing",
        how=LIVELY,
        where=f"{INSIDE}, in a crib, in a pram",
    ),
    kind(
        "a baby, an infant, a little baby, a toddler",
        "babble, coo, gurgle, hiccup, suck on a bottle, squeal with joy",
        how=LIVELY,
        where=f"{INSIDE}, in a crib, in a high chair",
    ),
    kind(
        f"{PERSON}, a sick man, a smoker, a patient",
        "cough, sneeze, sniff, blow the nose, clear the throat, wheeze, hiccup, burp, cough and wheeze, gargle, yawn",
        names="a bad cough, a loud sneeze, throat clearing",
        how=REPEATED,
        where=f"{INSIDE}, {PUBLIC}",
    ),
    kind(
        f"{PERSON}, a sleeper, a runner, a diver",
        "snore, breathe heavily, sigh, pant, gasp, groan, breathe in and breathe out, hold the breath and gasp",
        names="heavy breathing, loud snoring, a deep sigh",
        how=LASTING,
        where=f"{INSIDE}, in bed, under a mask",
    ),
    kind(
        f"{PERSON}, a singer, a choir, an opera singer, a street singer, a boys' choir",
        "sing, hum, sing a song, chant, yodel, sing in harmony, rap over a beat, sing {tune}, hum {tune}, "
        "whistle {tune}",
        many=f"{PEOPLE}, monks, football fans",
        names="choral singing, a chant, a lullaby, singing without accompaniment, beatboxing",
        how="softly, loudly, out of tune, with much feeling, in a high voice",
        where=f"{PUBLIC}, in a church, on a stage, in the shower",
    ),
    kind(
        "a crowd, an audience, a large crowd, a stadium crowd, a small audience, a theatre audience",
        "applaud, cheer, clap, boo, murmur, chant, laugh, clap and cheer, gasp, whistle and shout, roar",
        many="spectators, guests, fans, listeners",
        names="applause, thunderous applause, scattered clapping, the murmur of a crowd, cheering",
        how=LASTING,
        where="in a stadium, in a theatre, in a concert hall, at a wedding, at a rally, after a speech",
    ),
    kind(
        PERSON,
        "clap, snap the fingers, clap the hands, rub the hands together, slap a knee, crack the knuckles, "
        "whistle, whistle with two fingers, stamp a foot, scratch the skin, kiss, smack the lips, click the tongue",
        many=PEOPLE,
        names="finger snapping, hand claps, a whistle through the fingers",
        how=REPEATED,
        where=f"{INSIDE}, {PUBLIC}, {OUTSIDE}",
    ),
    kind(
        f"{PERSON}, a soldier, a hiker, a jogger, a woman in high heels, a man in boots, a barefoot child",
        "walk on {floor}, run on {floor}, walk through puddles, run up the stairs, climb down a ladder, shuffle across "
        "{floor}, jump onto {floor}, limp over {floor}, tiptoe across {floor}, march on {floor}",
        many=f"{PEOPLE}, soldiers, commuters",
        names="footsteps, footsteps on {floor}, hurried steps on {floor}, marching feet",
        how="slowly, quickly, heavily, softly, in step, in high heels, in boots, barefoot",
        where=f"{STREET}, {INSIDE}, {OUTSIDE}",
    ),
    kind(
        f"{PERSON}, a guest, a hungry boy",
        "chew, eat {crisp}, bite into {crisp}, slurp {drink}, drink {drink}, gulp down {drink}, swallow, "
        "sip {drink}, crunch {crisp}, munch on {crisp}, suck on a straw",
        names="crunching, noisy eating, slurping",
        how=HANDLED,
        where=f"{KITCHEN}, {PUBLIC}",
    ),
    kind(
        f"{PERSON}, a swimmer, a group of swimmers",
        "splash in the water, dive into a pool, swim, wade through water, jump into a lake",
        many=f"{PEOPLE}, swimmers",
        names="splashing in a pool, the noise of a swimming pool",
        how=LIVELY,
        where="in a pool, in a lake, at a beach, in a swimming hall",
    ),
    kind(
        f"{PERSON}, a player, a tennis player, a boxer, a golfer, a skater, a skateboarder",
        "bounce a ball, hit a tennis ball, kick a football, punch a bag, skate over ice, swing a golf club, "
        "dribble a basketball, skip rope, roll past on a skateboard, throw darts, knock over bowling pins, "
        "play table tennis",
        many=PEOPLE,
        names="a game of table tennis, bowling pins falling, the squeak of shoes in a sports hall, skateboard wheels",
        how=REPEATED,
        where=f"{PUBLIC}, {OUTSIDE}, in a gym, on a court",
    ),
)
