"""The published files become one file of ours: whole, with its provenance, or not at all."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from published_pair import RANK, Pair, Tensors, pair_of
from safetensors import safe_open
from small_clapsep import SMALL_CLAPSEP, small_clapsep
from small_model import lively
from small_towers import SMALL, small_tokenizer, small_towers, write_small_vocabulary
from tokenizers import Tokenizer
from torch.nn import functional

from model.clapsep import CLAPSep
from model.conditions import Query, condition_of
from model.digest import sha256_of
from model.gated import GatedSeparator
from model.laion_towers import LaionClap
from model.published import read_published
from model.published_layout import shapes_of
from model.registry import load_model
from model.separator import Condition
from model.weights_file import CheckpointError
from workflows import model_import
from workflows.model_import import PROBE, PROBE_IDS, check_tokenizer, import_published, read_tokenizer

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def networks(tokenizer: str) -> tuple[CLAPSep, LaionClap]:
    return CLAPSep(SMALL_CLAPSEP), LaionClap(SMALL, tokenizer)


@functools.cache
def weights() -> tuple[Tensors, Tensors]:
    """State dicts of a small separator and of its towers."""
    return small_clapsep().state_dict(), small_towers().state_dict()


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    write_small_vocabulary(tmp_path / "tokenizer")
    return pair_of(tmp_path, *weights()).write()


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """A folder with a byte-level vocabulary of one merge."""
    write_tokenizer(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


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
    separator, towers = networks(small_tokenizer())
    expected = read_published(
        pair.checkpoint,
        pair.clap,
        separator_shapes=shapes_of(separator.state_dict()),
        clap_shapes=shapes_of(towers.state_dict()),
        verify=False,
    )
    with safe_open(out, framework="pt") as file:
        for prefix, tensors in (("separator.", expected.separator), ("clap.", expected.clap)):
            assert all(torch.equal(file.get_tensor(prefix + name), value) for name, value in tensors.items())
        header = json.loads(file.metadata()["soundquarry"])
    provenance = header["provenance"]
    text = read_tokenizer(tmp_path / "tokenizer")
    assert provenance["made_of"] == {
        "checkpoint": sha256_of(pair.checkpoint),
        "clap": sha256_of(pair.clap),
        "tokenizer": hashlib.sha256(text.encode()).hexdigest(),
    }
    assert provenance["licence"] == "that of its weights"
    assert header["gate"] == "mini"
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert out.stat().st_mode & 0o777 == 0o644


def test_the_imported_file_separates_with_the_weights_of_the_pair(pair: Pair, tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    make(pair, out, verify=False)
    model = load_model(str(out))
    assert isinstance(model.separator, GatedSeparator)
    assert model.gate_clap is not None
    by_hand, (decoder, towers) = CLAPSep(SMALL_CLAPSEP).eval(), weights()
    encoder = {name.replace("audio_branch.", "encoder.", 1): value for name, value in towers.items()}
    merged = {name: encoder.get(name, value) for name, value in decoder.items()}
    for name in [name for name in pair.trained if name.endswith(".lora_A")]:
        layer = name.removesuffix(".lora_A")
        a, b, bias = (pair.trained[f"{layer}.{part}"] for part in ("lora_A", "lora_B", "bias"))
        own = layer.replace("audio_branch.", "encoder.", 1)
        merged[f"{own}.weight"], merged[f"{own}.bias"] = towers[f"{layer}.weight"] + b @ a / RANK, bias
    by_hand.load_state_dict(merged)
    mixture = torch.from_numpy(lively(1.0, rate=SMALL_CLAPSEP.sample_rate))
    with torch.inference_mode():
        told = functional.normalize(torch.ones(1, 2 * model.gate_clap.width), dim=1)
        condition = Condition(condition_of([Query(texts=["a dog barking"])], model.clap).embedding, told)
        stem = model.separator(mixture, condition)
        torch.testing.assert_close(stem, by_hand(mixture, condition), rtol=1e-4, atol=1e-6)
        without_lora = small_clapsep()(mixture, condition)
        presence = model.separator.presence(model.separator.encode(mixture), condition)
    assert stem.shape == mixture.shape
    assert float((stem - without_lora).abs().max()) > 1e-3
    assert 0.0 < float(presence) < 1.0


def test_what_is_not_published_is_refused_and_the_file_that_was_there_stays(pair: Pair, tmp_path: Path) -> None:
    out = tmp_path / "models" / "clapsep.safetensors"
    out.parent.mkdir()
    out.write_bytes(b"earlier")
    for verify, said in (
        (True, "not roberta-base's tokenizer"),
        (False, r"1 are missing \(decoder_model\.film\.norm\.bias\)"),
    ):
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


def test_a_tokenizer_is_taken_from_a_pair_a_folder_or_a_file(tokenizer: Path) -> None:
    folder = tokenizer
    made = read_tokenizer(folder)
    vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    reader = Tokenizer.from_str(made)
    assert reader.get_vocab_size() == len(vocab)
    assert reader.encode("dog do").ids == [vocab[t] for t in ("<s>", "do", "g", "Ġ", "do", "</s>")]
    assert reader.encode("g <mask>").ids[-2] == vocab["<mask>"]
    (folder / "tokenizer.json").write_text(made, encoding="utf-8")
    (folder / "vocab.json").unlink()
    assert read_tokenizer(folder) == read_tokenizer(folder / "tokenizer.json") == made
    (folder / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match=rf"no tokenizer at {folder}: give roberta-base's tokenizer\.json"):
        read_tokenizer(folder)


def test_another_tokenizer_is_told_from_that_of_the_published_towers(tokenizer: Path, tmp_path: Path) -> None:
    made = read_tokenizer(tokenizer)
    with pytest.raises(CheckpointError, match=r"t\.json is not roberta-base's.*expected \[0, 31414"):
        check_tokenizer(tmp_path / "t.json", made)
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


def test_names_of_files_and_the_layout_of_the_tokenizer_change_no_byte(pair: Pair, tmp_path: Path) -> None:
    make(pair, tmp_path / "one", verify=False)
    content = json.loads(read_tokenizer(tmp_path / "tokenizer"))
    content["padding"] = {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None}
    content["padding"] |= {"pad_id": 1, "pad_type_id": 0, "pad_token": "<pad>"}
    tokenizer = tmp_path / "other.json"
    tokenizer.write_text(json.dumps(content, indent=4), encoding="utf-8")
    checkpoint, clap = pair.checkpoint.rename(tmp_path / "x"), pair.clap.rename(tmp_path / "y")
    import_published(checkpoint, clap, tokenizer, tmp_path / "two", verify=False, networks=networks)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("content", [b"\x80\x02PK\xff", b"{}", b"[", b" " * 2000])
def test_what_is_no_tokenizer_is_a_sentence(tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_import, "TOKENIZER_BYTES", 1000)
    path = tmp_path / "best_model.ckpt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{path} is no tokenizer.*; take the tokenizer\.json of roberta-base"):
        read_tokenizer(path)


def test_a_place_that_cannot_be_written_is_told_before_anything_is_read(pair: Pair, tmp_path: Path) -> None:
    pair.checkpoint.write_bytes(b"not read")
    (tmp_path / "file").touch()
    for out, said in (
        (tmp_path, f"{tmp_path} is a folder; name the file to write"),
        (tmp_path / "file" / "out", r"cannot be written or locked \(Not a directory\); choose another place: --out"),
    ):
        with pytest.raises(OSError, match=said):
            make(pair, out, verify=False)


@pytest.mark.parametrize("tiny_disk", ["1m"], indirect=True)
def test_a_disk_without_room_is_told_before_anything_is_read(pair: Pair, tiny_disk: Path) -> None:
    with pytest.raises(OSError, match=r"no space left in .*: the model needs 1,242\.8 MB"):
        import_published(pair.checkpoint, pair.clap, pair.clap.with_name("none"), tiny_disk / "out", verify=False)
    assert list(tiny_disk.iterdir()) == []
