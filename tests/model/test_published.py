"""The published pair becomes our state dicts, or is refused by name; nothing in it is ever run."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from published_pair import BLOCK, CLAP, RANK, SEPARATOR, Pair, made_pair

from model import published
from model.digest import sha256_of
from model.published import PublishedWeights, read_published
from model.weights_file import CheckpointError

LORA = f"audio_branch.{BLOCK}.qkv"


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return made_pair(tmp_path)


def read(pair: Pair, *, verify: bool = False) -> PublishedWeights:
    return read_published(pair.checkpoint, pair.clap, separator_shapes=SEPARATOR, clap_shapes=CLAP, verify=verify)


def test_every_tensor_of_both_networks_comes_from_its_place(pair: Pair) -> None:
    weights = read(pair.write())
    assert {name: tuple(value.shape) for name, value in weights.separator.items()} == SEPARATOR
    assert {name: tuple(value.shape) for name, value in weights.clap.items()} == CLAP
    for name, value in weights.clap.items():
        assert torch.equal(value, pair.towers[name])
    for name, value in weights.separator.items():
        if name.startswith("decoder."):
            assert torch.equal(value, pair.trained[name.replace("decoder.", "decoder_model.")])
        elif ".qkv." not in name and ".proj." not in name:
            assert torch.equal(value, pair.towers[name.replace("encoder.", "audio_branch.")])


def test_lora_is_merged_into_the_weights_and_its_biases_are_taken(pair: Pair) -> None:
    weights = read(pair.write())
    for layer in ("qkv", "proj"):
        name = f"audio_branch.{BLOCK}.{layer}"
        a, b, w = pair.trained[f"{name}.lora_A"], pair.trained[f"{name}.lora_B"], pair.towers[f"{name}.weight"]
        expected = w + (b @ a) / RANK  # what the layer computes is W x + B (A x) / r
        torch.testing.assert_close(weights.separator[f"encoder.{BLOCK}.{layer}.weight"], expected)
        assert torch.equal(weights.separator[f"encoder.{BLOCK}.{layer}.bias"], pair.trained[f"{name}.bias"])
        assert torch.equal(weights.clap[f"{name}.bias"], pair.towers[f"{name}.bias"])
        assert not torch.equal(expected, w)


def test_half_precision_is_read_as_single(pair: Pair) -> None:
    pair.trained["decoder_model.film.norm.bias"] = pair.trained["decoder_model.film.norm.bias"].half()
    weights = read(pair.write())
    assert all(value.dtype == torch.float32 for value in [*weights.separator.values(), *weights.clap.values()])


def test_the_published_files_are_known_by_their_sha256(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.write()
    for path, constant in ((pair.checkpoint, "CLAPSEP_CHECKPOINT"), (pair.clap, "CLAPSEP_CLAP")):
        known = replace(getattr(published, constant), size_bytes=path.stat().st_size, sha256=sha256_of(path))
        monkeypatch.setattr(published, constant, known)
    assert read(pair, verify=True).clap.keys() == CLAP.keys()
    content = bytearray(pair.clap.read_bytes())
    content[-1] ^= 1
    pair.clap.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{pair.clap} is not the published .*sha256.*--unverified"):
        read(pair, verify=True)
    pair.clap.write_bytes(content[:-100])
    with pytest.raises(CheckpointError, match=rf"{pair.clap} has [\d,]+ bytes, the published .*cut off"):
        read(pair, verify=True)


def test_a_checkpoint_of_the_authors_trainer_that_stores_everything_is_read_alike(pair: Pair) -> None:
    expected = read(pair.write())
    pair.checkpoint, pair.clap = (path.with_name(f"all-{path.name}") for path in (pair.checkpoint, pair.clap))
    pair.trained |= {f"clap_model.model.{name}": value for name, value in pair.towers.items()}
    frozen = {n: v for n, v in pair.towers.items() if n.startswith("audio_branch.") and n not in pair.trained}
    pair.trained |= {**frozen, "stft.conv_real.weight": torch.ones(3, 1, 4), "istft.ola_window": torch.ones(4)}
    weights = read(pair.write(epoch=3, global_step=70, optimizer_states=[{"state": {}}]))
    for ours, theirs in ((weights.separator, expected.separator), (weights.clap, expected.clap)):
        assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def test_a_checkpoint_over_other_towers_or_with_merged_lora_is_refused_by_name(pair: Pair) -> None:
    pair.trained[f"{LORA}.weight"] = pair.towers[f"{LORA}.weight"] + 1.0
    pair.trained[f"clap_model.model.{LORA}.bias"] = pair.towers[f"{LORA}.bias"] + 1.0
    with pytest.raises(CheckpointError, match=r"do not belong together: 2 tensors that both hold differ") as caught:
        read(pair.write())
    assert f"clap_model.model.{LORA}.bias" in str(caught.value)
    assert f"{LORA}.weight" in str(caught.value)


BENT: dict[str, tuple[Callable[[Pair], object], str]] = {
    "decoder": (
        lambda p: p.trained.pop("decoder_model.film.norm.bias"),
        "1 are missing (decoder_model.film.norm.bias)",
    ),
    "lora": (lambda p: p.trained.pop(f"{LORA}.lora_A"), f"1 are missing ({LORA}.lora_A)"),
    "bias": (lambda p: p.trained.pop(f"{LORA}.bias"), f"1 are missing ({LORA}.bias)"),
    "all": (lambda p: [p.trained.pop(n) for n in list(p.trained) if "spec" not in n], "9 are missing (audio_branch."),
    "tower": (lambda p: p.towers.pop("text_projection.2.bias"), "1 are missing (text_projection.2.bias)"),
    "encoder": (
        lambda p: p.towers.pop("audio_branch.patch_embed.proj.weight"),
        "1 are missing (audio_branch.patch_embed.proj.weight)",
    ),
    "extra": (lambda p: p.trained.update({"decoder_model.phase_net.weight": torch.ones(2)}), "1 are unknown (decoder_"),
    "extras": (
        lambda p: p.trained.update({f"x{k}": torch.ones(2) for k in range(5)}),
        "5 are unknown (x0, x1, x2, ...)",
    ),
    "extra tower": (
        lambda p: p.towers.update({"audio_branch.fusion.w": torch.ones(2)}),
        "1 are unknown (audio_branch.f",
    ),
    "unknown copy": (
        lambda p: p.trained.update({"clap_model.model.audio_branch.other": torch.ones(2)}),
        "1 are unknown (clap_model.model.audio_branch.other)",
    ),
    "misshapen": (
        lambda p: p.trained.update({"decoder_model.film.norm.bias": torch.ones(3)}),
        "1 have another shape (decoder_model.film.norm.bias (3,) instead of (4,))",
    ),
    "other rank": (
        lambda p: p.trained.update({f"audio_branch.{BLOCK}.proj.lora_B": torch.ones(4, 5)}),
        f"1 have another shape (audio_branch.{BLOCK}.proj.lora_B (4, 5) instead of (4, 2))",
    ),
    "misshapen copy": (
        lambda p: p.trained.update({f"clap_model.model.{LORA}.bias": torch.ones(5)}),
        f"1 have another shape (clap_model.model.{LORA}.bias (5,) instead of (12,))",
    ),
    "misshapen index": (
        lambda p: p.trained.update({f"decoder_model.{BLOCK}.relative_position_index": torch.ones(2, 2)}),
        "relative_position_index (2, 2) instead of (4, 4)",
    ),
    "other size": (
        lambda p: p.towers.update({"text_branch.embeddings.word_embeddings.weight": torch.ones(9, 4)}),
        "word_embeddings.weight (9, 4) instead of (7, 4)",
    ),
    "nan": (
        lambda p: p.trained.update({"decoder_model.film.norm.bias": torch.full((4,), torch.nan)}),
        "1 tensors hold numbers that are not finite (decoder_model.film.norm.bias)",
    ),
}


@pytest.mark.parametrize("case", BENT)
def test_missing_unknown_and_misshapen_tensors_are_refused_by_name(pair: Pair, case: str) -> None:
    bend, said = BENT[case]
    bend(pair)
    with pytest.raises(CheckpointError, match=re.escape(said)) as caught:
        read(pair.write())
    assert str(pair.clap if "tower" in case or case in ("encoder", "other size") else pair.checkpoint) in str(
        caught.value
    )


class Trap:
    """Runs something when it is unpickled by a reader that trusts it."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


@pytest.mark.parametrize("which", ["checkpoint", "clap"])
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("trap", ["system", "eval", "touch", "getattr"])
def test_code_in_a_file_is_refused_and_does_not_run(pair: Pair, which: str, legacy: bool, trap: str) -> None:
    pair.write()
    path, trace = getattr(pair, which), pair.clap.with_name("ran")
    code = {
        "system": Trap(os.system, f"touch {trace}"),
        "eval": Trap(eval, f"open({str(trace)!r}, 'w')"),
        "touch": Trap(Path.touch, trace),
        "getattr": Trap(getattr, Trap(__import__, "os"), "system"),
    }[trap]
    content = {**pair.trained, "code": code} if which == "checkpoint" else {"state_dict": pair.towers, "args": code}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match=r"holds more than weights: it names \S+, which could run code") as caught:
        read(pair)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not trace.exists()
    torch.load(path, weights_only=False)  # the trap is a real one
    assert trace.exists() or trap == "getattr"


def test_a_bare_pickle_with_code_is_refused_and_does_not_run(pair: Pair) -> None:
    pair.write()
    trace = pair.clap.with_name("ran")
    pair.checkpoint.write_bytes(pickle.dumps(Trap(os.system, f"touch {trace}")))
    with pytest.raises(CheckpointError, match=str(pair.checkpoint)):
        read(pair)
    assert not trace.exists()


def test_a_missing_file_is_named(pair: Pair) -> None:
    pair.write()
    pair.checkpoint.unlink()
    for verify in (False, True):
        with pytest.raises(FileNotFoundError, match=str(pair.checkpoint)):
            read(pair, verify=verify)
