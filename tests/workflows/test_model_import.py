"""The published files become one file of ours: whole, with its provenance, or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from published_pair import CLAP, SEPARATOR, Pair, Shapes, made_pair
from safetensors import safe_open
from tokenizers import Tokenizer
from torch import nn

from model.digest import sha256_of
from model.published import read_published
from model.weights_file import CheckpointError
from workflows.model_import import PROBE, PROBE_IDS, check_tokenizer, import_published, read_tokenizer

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


@dataclass(frozen=True)
class NamedConfig:
    sample_rate: int = 4000


class Named(nn.Module):
    """A network that is nothing but its tensors' names and shapes."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.config = NamedConfig()
        for name, shape in shapes.items():
            *parts, last = name.split(".")
            owner: nn.Module = self
            for part in parts:
                if part not in owner._modules:
                    owner.add_module(part, nn.Module())
                owner = owner.get_submodule(part)
            owner.register_parameter(last, nn.Parameter(torch.zeros(shape)))


def networks(tokenizer_json: str) -> tuple[Any, Any]:
    return Named(SEPARATOR), Named(CLAP)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    write_tokenizer(tmp_path / "tokenizer")
    return made_pair(tmp_path).write()


def write_tokenizer(folder: Path) -> None:
    """A byte-level vocabulary with one merge."""
    folder.mkdir()
    letters = sorted({chr(k) for k in range(33, 127)} | {"Ġ"})
    vocab = {token: k for k, token in enumerate([*SPECIAL, *letters, "do", "<mask>"])}
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\nd o\n", encoding="utf-8")


def make(pair: Pair, out: Path, **more: Any) -> None:
    tokenizer = pair.clap.with_name("tokenizer")
    import_published(pair.checkpoint, pair.clap, tokenizer, out, networks=networks, **more)


def test_the_pair_becomes_one_file_with_both_networks_and_where_they_come_from(pair: Pair, tmp_path: Path) -> None:
    out = tmp_path / "models" / "mine.safetensors"
    make(pair, out, verify=False)
    expected = read_published(pair.checkpoint, pair.clap, separator_shapes=SEPARATOR, clap_shapes=CLAP, verify=False)
    with safe_open(out, framework="pt") as file:
        for prefix, tensors in (("separator.", expected.separator), ("clap.", expected.clap)):
            for name, value in tensors.items():
                torch.testing.assert_close(file.get_tensor(prefix + name).float(), value, rtol=1e-3, atol=1e-3)
        provenance = json.loads(file.metadata()["soundquarry"])["provenance"]
    assert provenance["made_of"] == {path.name: sha256_of(path) for path in (pair.checkpoint, pair.clap)}
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert out.stat().st_mode & 0o777 == 0o644


def test_what_is_not_published_is_refused_and_the_file_that_was_there_stays(pair: Pair, tmp_path: Path) -> None:
    out = tmp_path / "models" / "clapsep.safetensors"
    out.parent.mkdir()
    out.write_bytes(b"earlier")
    pair.trained.popitem()
    for verify, said in ((True, "not roberta-base's tokenizer"), (False, "1 are missing|have another")):
        if verify is False:
            pair.trained.pop("decoder_model.film.norm.bias")
            pair.write()
        with pytest.raises(CheckpointError, match=said):
            make(pair, out, verify=verify)
    assert out.read_bytes() == b"earlier"
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_full_disk_is_told_and_leaves_nothing(pair: Pair, tiny_disk: Path) -> None:
    (tiny_disk / "filling").write_bytes(bytes(1 << 20))
    with pytest.raises(OSError, match=r"clapsep\.safetensors cannot be written.*--out"):
        make(pair, tiny_disk / "clapsep.safetensors", verify=False)
    assert [path.name for path in tiny_disk.iterdir()] == ["filling"]


def test_a_tokenizer_is_taken_from_a_pair_a_folder_or_a_file(pair: Pair) -> None:
    folder = pair.clap.with_name("tokenizer")
    made = read_tokenizer(folder)
    vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_str(made)
    assert tokenizer.get_vocab_size() == len(vocab)
    assert tokenizer.encode("dog do").ids == [vocab[t] for t in ("<s>", "do", "g", "Ġ", "do", "</s>")]
    assert tokenizer.encode("g <mask>").ids[-2] == vocab["<mask>"]
    (folder / "tokenizer.json").write_text(made, encoding="utf-8")
    (folder / "vocab.json").unlink()
    assert read_tokenizer(folder) == read_tokenizer(folder / "tokenizer.json") == made
    (folder / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match=rf"no tokenizer at {folder}: give roberta-base's tokenizer\.json"):
        read_tokenizer(folder)


def test_another_tokenizer_is_told_from_that_of_the_published_towers(pair: Pair, tmp_path: Path) -> None:
    made = read_tokenizer(pair.clap.with_name("tokenizer"))
    with pytest.raises(CheckpointError, match=r"t\.json is not roberta-base's.*expected \[0, 31414"):
        check_tokenizer(tmp_path / "t.json", made)
    with pytest.raises(CheckpointError, match=r"t\.json is no tokenizer"):
        check_tokenizer(tmp_path / "t.json", "{}")
    content = json.loads(made)
    words = {"Hello": PROBE_IDS[1], "Ġworld": PROBE_IDS[2], "!": PROBE_IDS[3]}
    vocab = {token: k for k, token in enumerate(SPECIAL)} | words
    content["model"] = {"type": "BPE", "vocab": vocab, "merges": [], "ignore_merges": True}
    check_tokenizer(tmp_path / "t.json", json.dumps(content))
    assert PROBE == "Hello world!"


@pytest.mark.parametrize("lacking", ["checkpoint", "clap"])
def test_a_missing_file_is_told_before_any_network_is_made(pair: Pair, tmp_path: Path, lacking: str) -> None:
    path = getattr(pair, lacking)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"no file {path}"):
        import_published(pair.checkpoint, pair.clap, tmp_path / "tokenizer", tmp_path / "out")
