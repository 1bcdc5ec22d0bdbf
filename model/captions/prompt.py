"""What to ask a large language model for, by whoever has one: captions in the format that the cache reads.

The authors of arXiv 2409.09398 had theirs written by one; their prompt could not be read, this one is ours.
"""

from __future__ import annotations

from typing import Final

PROMPT: Final = """\
Write {count} captions of sounds, as listeners would write them who hear a recording of a few seconds.

Format
- One caption a line. No numbers, no bullets, no quotation marks, no empty lines, no heading, nothing before or after.
- English, lower case, no full stop, 2 to 15 words.
- No two captions alike.

Content
- What is heard, never what is seen: no colours, no lettering, no thoughts, no reasons.
- About half of them tell of one sound: "a dog barks behind a fence", "rain on a tin roof", "a woman laughing".
- About half tell of two or three at once or one after the other, with "while", "as", "followed by", "and then",
  "in the background": "a man talks while dishes clatter", "a car starting followed by a horn".
- Vary who or what sounds, of which material, where, how loud, how far away, how often, and how the sentence is built:
  "a door slams", "a slamming door", "the slam of a door", "someone slams a door".
- Cover evenly: animals of house, farm and wild; voices, laughter, crying, crowds, breathing, eating, steps; cars,
  trains, planes, boats; engines, tools, factories; kitchen, bathroom, office, doors, paper, glass, falling things;
  rain, wind, thunder; rivers, sea, taps, pouring; fire, explosions; alarms, bells, telephones; sports and play; streets
  and public places; instruments, singing, bands.
- Common sounds more often than rare ones, and rare ones too.
"""


def prompt(count: int = 1000) -> str:
    """The prompt for so many captions. Models tire: ask for a thousand at a time, and put the answers in one file."""
    return PROMPT.format(count=count)
