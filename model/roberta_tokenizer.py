"""RoBERTa's tokenizer for the text tower of the published CLAP: sentences to token numbers, from a `tokenizer.json`.

A tokenizer of another vocabulary gives wrong rows of the embedding without any error, and an empty one the same two
tokens for every sentence. So it is checked when it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

MAX_TOKENS: Final = 77
"""Where laion-clap cuts a sentence, <s> and </s> included."""
START, PAD, END = 0, 1, 2
SPECIAL: Final = {"<s>": START, "<pad>": PAD, "</s>": END}
PROBE: Final = "a dog barking"
NEXT_STEP: Final = "take the tokenizer.json of roberta-base, or its vocab.json and merges.txt"


def tokenizer_json(vocabulary: Path, merges: Path) -> str:
    """The text of a `tokenizer.json` made of the older pair of files, `vocab.json` and `merges.txt`."""
    from tokenizers import AddedToken, ByteLevelBPETokenizer
    from tokenizers.processors import RobertaProcessing

    tokenizer = ByteLevelBPETokenizer.from_file(str(vocabulary), str(merges))
    special = ["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True)]
    tokenizer.add_special_tokens(special)  # those that the vocabulary holds keep their number
    tokenizer.post_processor = RobertaProcessing(sep=("</s>", END), cls=("<s>", START), add_prefix_space=False)
    return str(tokenizer.to_str())


def canonical_json(text: str) -> str:
    """The text of a `tokenizer.json` as this library writes it: same content, same text, however it was laid out.

    What a file says of padding and truncation goes, since `RobertaTokenizer` has its own. Raises ValueError.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer: Any = Tokenizer.from_str(text)
    except Exception as error:  # the library raises nothing more specific
        raise ValueError(str(error)) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return str(tokenizer.to_str())


class RobertaTokenizer:
    """Sentences -> lists of token numbers, from <s> to </s>, at most 77 of them, not padded.

    Raises ValueError when `text` is no tokenizer of `vocabulary` tokens, or not RoBERTa's.
    """

    def __init__(self, text: str, vocabulary: int) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer: Any = Tokenizer.from_str(text)
        except Exception as error:  # the library raises nothing more specific
            raise ValueError(f"the tokenizer is no tokenizer.json ({error}); {NEXT_STEP}") from error
        size = self._tokenizer.get_vocab_size()
        if size != vocabulary:
            raise ValueError(f"the tokenizer knows {size} tokens, the text tower {vocabulary}; {NEXT_STEP}")
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        numbers = {token: self._tokenizer.token_to_id(token) for token in SPECIAL}
        probe = self._tokenizer.encode(PROBE).ids
        if numbers != SPECIAL or len(probe) <= 2 or (probe[0], probe[-1]) != (START, END):
            raise ValueError(f"the tokenizer is not RoBERTa's: {numbers}, and {PROBE!r} is {probe}; {NEXT_STEP}")

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
