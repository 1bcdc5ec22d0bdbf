"""The file of an imported CLAPSep: both networks and the tokenizer come back, and a gate is put before it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from small_clapsep import SMALL_CLAPSEP, random_queries, save_small_published, small_clapsep
from small_model import lively, save_small, small_model
from small_towers import SENTENCES, SMALL, small_tokenizer, small_towers, sounds_at_48_khz
from torch import Tensor
from torch.nn import functional

from model import checkpoint
from model.checkpoint import Calibration, Model, load_checkpoint, save_checkpoint
from model.clapsep import CLAPSep
from model.gated import GatedSeparator
from model.laion_towers import LaionClap
from model.registry import find_checkpoint, load_model
from model.separator import Condition
from model.weights_file import CheckpointError, read_tensors

Tensors = dict[str, Tensor]


@pytest.fixture(scope="module")
def mini() -> Model:
    return load_model("mini")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_published(tmp_path_factory.mktemp("published") / "clapsep.safetensors")


@pytest.fixture(scope="module")
def towers() -> LaionClap:
    return small_towers()


@pytest.fixture(scope="module")
def model(path: Path, mini: Model) -> Model:
    return load_checkpoint(path, gate=lambda name: mini)


def network_of(model: Model) -> CLAPSep:
    assert isinstance(model.separator, GatedSeparator)
    assert isinstance(model.separator.network, CLAPSep)
    return model.separator.network


def contents(path: Path) -> tuple[Tensors, dict[str, Any]]:
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, json.loads(file.metadata()["soundquarry"])  # noqa: SIM118


def rewritten(path: Path, folder: Path, tensors: Tensors, header: dict[str, Any]) -> Path:
    out = folder / "bent.safetensors"
    save_file(tensors, out, metadata={"soundquarry": json.dumps(header)})
    return out


def test_both_networks_come_back_bit_by_bit_with_their_configurations(model: Model, towers: LaionClap) -> None:
    model.clap.embed_text(["a bell"])  # the text tower comes into being
    for original, loaded in ((small_clapsep(), network_of(model)), (towers, model.clap)):
        assert original.config == loaded.config
        expected, found = original.state_dict(), loaded.state_dict()
        assert expected.keys() == found.keys()
        assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert not model.separator.training
    assert not model.clap.training


@torch.inference_mode()
def test_the_loaded_model_separates_and_understands_as_the_one_that_was_saved(model: Model, towers: LaionClap) -> None:
    mixture = torch.from_numpy(lively(2.0, rate=SMALL_CLAPSEP.sample_rate))
    assert torch.equal(model.separator(mixture, random_queries(1)), small_clapsep()(mixture, random_queries(1)))
    assert torch.equal(model.clap.embed_text(SENTENCES), towers.embed_text(SENTENCES))
    sounds = sounds_at_48_khz(48_000)[:2]
    assert torch.equal(model.clap.embed_audio(sounds), towers.embed_audio(sounds))


def test_presence_and_calibration_are_those_of_the_gate(path: Path, mini: Model) -> None:
    asked: list[str] = []
    strict = dataclasses.replace(mini, calibration=Calibration(0.7, 0.8))

    def gate(name: str) -> Model:
        asked.append(name)
        return strict

    model = load_checkpoint(path, gate=gate)
    assert asked == ["mini"]
    assert model.calibration == Calibration(0.7, 0.8)
    assert model.gate_clap is mini.clap
    assert isinstance(model.separator, GatedSeparator)
    assert model.separator.gate is mini.separator
    assert model.provenance == {"data": "none", "seed": 0, "gate": mini.signature}
    told = functional.normalize(torch.ones(1, 2 * mini.clap.width), dim=1)
    mixture = torch.from_numpy(lively(10.0, rate=SMALL_CLAPSEP.sample_rate))
    with torch.inference_mode():
        features = model.separator.encode(mixture)
        heard = model.separator.presence(features, Condition(random_queries(1).embedding, told))
        assert torch.equal(heard, mini.separator.presence(mini.separator.encode(mixture), Condition(told)))


def test_the_signature_is_that_of_the_files_bytes_and_of_the_gate(
    path: Path, model: Model, mini: Model, tmp_path: Path
) -> None:
    other_gate = dataclasses.replace(mini, signature="mini-0123456789abcdef")
    other_weights = save_small_published(tmp_path / "clapsep.safetensors", seed=1)
    signatures = [model.signature]
    for file, gate in ((path, other_gate), (other_weights, mini)):
        signatures.append(load_checkpoint(file, gate=lambda name, gate=gate: gate).signature)
    assert len(set(signatures)) == 3
    assert all(signature.startswith("clapsep-") and len(signature) == 24 for signature in signatures)


def test_two_saves_are_the_same_bytes(path: Path, model: Model, tmp_path: Path) -> None:
    again = save_small_published(tmp_path / "again.safetensors")
    assert again.read_bytes() == path.read_bytes()
    save_checkpoint(
        tmp_path / "loaded.safetensors", separator=network_of(model), clap=model.clap, gate="mini",
        provenance={"data": "none", "seed": 0},
    )  # fmt: skip
    assert (tmp_path / "loaded.safetensors").read_bytes() == path.read_bytes()


def test_the_text_tower_is_read_with_the_first_text(path: Path, mini: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def noting(file: Path, names: Any, prefix: str = "") -> Tensors:
        read.extend(names := list(names))
        return read_tensors(file, names, prefix)

    monkeypatch.setattr(checkpoint, "read_tensors", noting)
    monkeypatch.setattr("model.weights_file.read_tensors", noting)
    model = load_checkpoint(path, gate=lambda name: mini)
    model.clap.embed_audio(sounds_at_48_khz(48_000)[:1])
    assert len(read) > 100
    assert not any(name.startswith("clap.text_") for name in read)
    assert not any(name.startswith("text_") for name in model.clap.state_dict())
    read.clear()
    model.clap.embed_text(["a bell"])
    assert {name.split(".")[1] for name in read} == {"text_branch", "text_projection"}
    read.clear()
    model.clap.embed_text(["a dog"])
    assert read == []


def without(*names: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: value for name, value in tensors.items() if name not in names}


def beside(*names: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: tensors | {name: torch.full((1,), float(k)) for k, name in enumerate(names)}


def misshapen(name: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: tensors | {name: torch.zeros(3)}


BENT: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "missing": (
        without("separator.decoder.mask_net.3.bias", "clap.audio_projection.0.bias", "clap.text_projection.2.bias"),
        r"lacks clap\.audio_projection\.0\.bias, clap\.text_projection\.2\.bias, separator\.decoder\.mask_net\.3\.bias",
    ),
    "no tokenizer": (without("tokenizer.json"), r"lacks tokenizer\.json; import the published files again"),
    "extra": (
        beside("separator.more", "clap.text_more", "optimizer"),
        r"has unknown clap\.text_more, optimizer, separator\.more; it is of another version",
    ),
    "misshapen": (
        misshapen("separator.encoder.bn0.bias"),
        r"separator\.encoder\.bn0\.bias has shape \(3,\), expected \(64,\)",
    ),
    "misshapen tower": (
        misshapen("clap.audio_branch.bn0.bias"),
        r"clap\.audio_branch\.bn0\.bias has shape \(3,\), expected \(64,\)",
    ),
    "misshapen text": (
        misshapen("clap.text_projection.2.bias"),
        r"clap\.text_projection\.2\.bias has shape \(3,\), expected \(64,\)",
    ),
    "no words": (misshapen("tokenizer.json"), r"the tokenizer is no tokenizer\.json"),
    "too many words": (
        lambda t: t | {"tokenizer.json": torch.frombuffer(bytearray(small_tokenizer(320).encode()), dtype=torch.uint8)},
        r"the tokenizer knows 320 tokens, the text tower 300",
    ),
}


@pytest.mark.parametrize("case", BENT)
def test_what_lacks_adds_or_misshapes_a_tensor_is_refused_by_name(
    path: Path, tmp_path: Path, mini: Model, case: str
) -> None:
    bend, said = BENT[case]
    tensors, header = contents(path)
    bent = rewritten(path, tmp_path, bend(tensors), header)
    with pytest.raises(CheckpointError, match=said) as caught:
        load_checkpoint(bent, gate=lambda name: mini)
    assert str(bent) in str(caught.value)


CHANGED: dict[str, tuple[dict[str, Any], str]] = {
    "another kind": (
        {"network": "band_split"},
        r"a network of the kind 'band_split', which cannot be used",
    ),
    "an unknown size": ({"separator": {"depth": 7}}, r"its configuration is not one of this version.*depth"),
    "three levels": ({"clap": {"depths": [2, 2, 2]}}, r"HTSAT has four levels"),
    "another format": ({"format": 99}, r"carries no soundquarry header of format 1 to 2"),
    "no gate": ({"gate": None}, r"its configuration is not one of this version"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_header_of_another_version_is_refused(path: Path, tmp_path: Path, mini: Model, case: str) -> None:
    changes, said = CHANGED[case]
    tensors, header = contents(path)
    changed = {key: value for key, value in (header | changes).items() if value is not None}
    bent = rewritten(path, tmp_path, tensors, changed)
    with pytest.raises(CheckpointError, match=said) as caught:
        load_checkpoint(bent, gate=lambda name: mini)
    assert str(bent) in str(caught.value)


def test_a_file_that_is_cut_off_is_refused(path: Path, tmp_path: Path, mini: Model) -> None:
    cut = tmp_path / "cut.safetensors"
    for size_bytes in (path.stat().st_size - 1, 1000, 7):
        cut.write_bytes(path.read_bytes()[:size_bytes])
        with pytest.raises(CheckpointError, match=r"cut\.safetensors is not a whole safetensors file"):
            load_checkpoint(cut, gate=lambda name: mini)


def test_without_a_way_to_its_gate_it_cannot_be_used(path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"clapsep\.safetensors holds a network that cannot tell presence"):
        load_checkpoint(path)


def test_a_gate_that_is_not_here_or_hears_other_windows_is_told(tmp_path: Path) -> None:
    gate = tmp_path / "gone.safetensors"
    shutil.copy(find_checkpoint("mini"), gate)
    lost = save_small_published(tmp_path / "lost.safetensors", gate=str(gate))
    gate.unlink()
    with pytest.raises(FileNotFoundError, match=r"no model '.*gone\.safetensors'"):
        load_checkpoint(lost, gate=load_model)
    brief = small_model()
    brief.separator.window_samples //= 2
    with pytest.raises(
        CheckpointError, match=r"lost\.safetensors.*the gate must hear the whole of the network's windows"
    ):
        load_checkpoint(lost, gate=lambda name: brief)


def test_the_gate_is_found_by_its_name_where_models_lie(path: Path, mini: Model) -> None:
    assert load_model(str(path)).provenance["gate"] == mini.signature


def test_a_compact_model_asks_for_no_gate(tmp_path: Path) -> None:
    def gate(name: str) -> Model:
        raise AssertionError(name)

    assert load_checkpoint(save_small(tmp_path / "small.safetensors"), gate=gate).gate_clap is None


def test_every_field_of_the_configurations_survives(model: Model) -> None:
    assert network_of(model).config == SMALL_CLAPSEP  # tuples again, and the encoder's within
    assert isinstance(model.clap.config.depths, tuple)
    assert model.clap.config == SMALL
