"""The tokenizer of the text tower: the numbers that transformers gives, and no other vocabulary."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_towers import SENTENCES, small_tokenizer, small_vocabulary, write_small_vocabulary

from model.roberta_tokenizer import RobertaTokenizer


def test_numbers_are_those_of_transformers_cut_at_77_as_laion_clap_cuts(tmp_path: Path) -> None:
    from transformers import RobertaTokenizer as Reference

    write_small_vocabulary(tmp_path)
    reference = Reference(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    texts = [*SENTENCES, "a <mask> b", "<s> </s>", "don't they'll I'M", "\t tabs\n\nlines ", "狗吠 🐶", "1234567"]
    expected = reference(texts, truncation=True, max_length=77)["input_ids"]
    numbers = RobertaTokenizer(small_tokenizer(), 300)(texts)
    assert numbers == expected
    assert max(map(len, numbers)) == 77


def test_padding_and_truncation_written_in_the_file_do_not_count() -> None:
    content = json.loads(small_tokenizer())
    content["truncation"] = {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
    content["padding"] = {"strategy": {"Fixed": 200}, "direction": "Right", "pad_to_multiple_of": None}
    content["padding"] |= {"pad_id": 1, "pad_type_id": 0, "pad_token": "<pad>"}
    assert RobertaTokenizer(json.dumps(content), 300)(SENTENCES) == RobertaTokenizer(small_tokenizer(), 300)(SENTENCES)


def test_a_tokenizer_of_another_size_is_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"knows 300 tokens, the text tower 50265; take the tokenizer\.json of"):
        RobertaTokenizer(small_tokenizer(), 50_265)


def test_a_tokenizer_without_words_is_refused_even_where_its_size_fits() -> None:
    content = json.loads(small_tokenizer())
    content["model"] |= {"vocab": {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4}, "merges": []}
    content["added_tokens"] = [token for token in content["added_tokens"] if token["id"] < 4]
    with pytest.raises(ValueError, match=r"not RoBERTa's: .* 'a dog barking' is \[0, 2\]"):
        RobertaTokenizer(json.dumps(content), 5)


def test_a_tokenizer_that_does_not_frame_its_sentences_is_refused() -> None:
    content = json.loads(small_tokenizer()) | {"post_processor": None}
    with pytest.raises(ValueError, match=r"not RoBERTa's"):
        RobertaTokenizer(json.dumps(content), 300)


def test_special_tokens_with_other_numbers_are_refused(tmp_path: Path) -> None:
    words, merges = small_vocabulary()
    swapped = json.loads(words)
    swapped["<pad>"], swapped["!"] = swapped["!"], swapped["<pad>"]
    (tmp_path / "vocab.json").write_text(json.dumps(swapped))
    (tmp_path / "merges.txt").write_text(merges)
    content = json.loads(small_tokenizer())
    content["model"]["vocab"] = swapped
    content["added_tokens"][1]["id"] = swapped["<pad>"]
    with pytest.raises(ValueError, match=r"not RoBERTa's: \{'<s>': 0, '<pad>': [^1]"):
        RobertaTokenizer(json.dumps(content), 300)


@pytest.mark.parametrize("text", ["", "{}", "not json", '{"version": "1.0"}'])
def test_text_that_is_no_tokenizer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no tokenizer\.json \(.*\); take the tokenizer\.json of roberta-base"):
        RobertaTokenizer(text, 300)
