"""A byte-level BPE vocabulary of RoBERTa's size and layout, made from sentences that code puts together.

Ids 0 to 3 are `<s> <pad> </s> <unk>`, then come the bytes and what was learned, then words that nobody writes, and
`<mask>` is the last of 50,265. Only the published vocabulary splits words as the published weights expect; this one is
for networks of random weights.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Final

ENTRIES: Final = 50_265
SPECIAL: Final = ("<s>", "<pad>", "</s>", "<unk>")
MASK: Final = "<mask>"
_WHO: Final = (
    "a dog", "two dogs", "a small child", "a man", "a woman", "a crowd", "an engine", "a helicopter", "a church bell",
    "a violin", "an acoustic guitar", "a hammer", "a siren", "rain", "thunder", "the wind", "a stream", "sea waves",
)  # fmt: skip
_WHAT: Final = (
    "barking", "crying", "talking", "laughing", "idling", "passing by", "ringing", "playing a slow tune", "falling",
    "knocking", "wailing", "rumbling", "whistling", "splashing", "crackling", "clapping", "typing on a keyboard",
)  # fmt: skip
_WHERE: Final = (
    "in the distance", "close by", "indoors", "on a busy street", "at night", "while birds are singing", "in a hall",
    "as traffic goes past", "followed by silence", "over quiet music", "with some hiss", "again and again",
)  # fmt: skip


def sentences() -> list[str]:
    """Every someone doing something somewhere, in a fixed order."""
    return [" ".join(parts) for parts in itertools.product(_WHO, _WHAT, _WHERE)]


def save_vocabulary(folder: Path) -> None:
    """Write `vocab.json` and `merges.txt` into `folder`, as RoBERTa's tokenizers read them."""
    from tokenizers import ByteLevelBPETokenizer

    learned = ByteLevelBPETokenizer()
    learned.train_from_iterator(
        sentences(), vocab_size=1000, min_frequency=2, special_tokens=list(SPECIAL), show_progress=False
    )
    folder.mkdir(parents=True, exist_ok=True)
    learned.save_model(str(folder))
    entries: dict[str, int] = json.loads((folder / "vocab.json").read_text())
    for index in range(len(entries), ENTRIES - 1):
        entries[f"madeupword{index:05}"] = index
    entries[MASK] = ENTRIES - 1
    (folder / "vocab.json").write_text(json.dumps(entries, ensure_ascii=False))
