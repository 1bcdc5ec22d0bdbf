"""Checkpoints of trained networks: any kind with any towers, gated where the network cannot tell presence."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from small_clapsep import SMALL_CLAPSEP, small_clapsep
from small_model import (
    EMBEDDING,
    SEPARATOR,
    lively,
    random_condition,
    save_small,
    small_clap,
    small_model,
    small_separator,
)
from small_towers import small_towers
from small_unet import SMALL_UNET, small_unet, unet_condition

from model.checkpoint import Calibration, load_checkpoint, save_checkpoint
from model.compact_clapsep import CompactCLAPSep
from model.conditional_unet import ConditionalUNetConfig
from model.gated import GatedSeparator
from model.laion_towers import LaionClap
from model.registry import load_model, model_signature
from model.separator import Condition, MaskNetwork
from model.towers import Towers
from model.training.lora import add_adapters, merge_adapters
from model.weights_file import CheckpointError, read_header

NETWORKS: dict[str, Callable[[int], MaskNetwork]] = {
    "compact_clapsep": lambda width: CompactCLAPSep(dataclasses.replace(SEPARATOR, embedding=width)),
    "clapsep": lambda width: small_clapsep(dataclasses.replace(SMALL_CLAPSEP, embedding=width)),
    "conditional_unet": lambda width: small_unet(wide_unet(width)),
}
TOWERS: dict[str, Callable[[], Towers]] = {"clap": small_clap, "laion_clap": small_towers}
GATE = small_model()


def wide_unet(width: int) -> ConditionalUNetConfig:
    return dataclasses.replace(SMALL_UNET, embedding=width, token_width=width)


def saved(path: Path, network: MaskNetwork, clap: Towers, gate: str | None = "listener") -> Path:
    provenance = {"recipe": {"scheme": "weak", "steps": 3}}
    save_checkpoint(path, separator=network, clap=clap, provenance=provenance, gate=gate)
    return path


@pytest.mark.parametrize("towers", TOWERS)
@pytest.mark.parametrize("kind", NETWORKS)
def test_every_network_comes_back_with_every_towers(tmp_path: Path, kind: str, towers: str) -> None:
    clap = TOWERS[towers]()
    network = NETWORKS[kind](clap.width)
    gate = dataclasses.replace(GATE, separator=copy.deepcopy(GATE.separator))
    if kind == "clapsep":  # as in life, the gate has the network's rate and window
        gate.separator.sample_rate, gate.separator.window_samples = SMALL_CLAPSEP.sample_rate, 320_000
    path = saved(tmp_path / "trained.safetensors", network, clap, None if kind == "compact_clapsep" else "listener")
    model = load_checkpoint(path, gate=lambda name: {"listener": gate}[name])
    if kind == "compact_clapsep":
        loaded, provenance = model.separator, model.provenance
        assert model.gate_clap is None
        assert model.calibration == Calibration()
    else:
        assert isinstance(model.separator, GatedSeparator)
        assert model.separator.gate is gate.separator
        assert model.gate_clap is gate.clap
        assert model.calibration == gate.calibration
        loaded, provenance = model.separator.network, dict(model.provenance)
        assert provenance.pop("gate") == gate.signature
    assert provenance == {"recipe": {"scheme": "weak", "steps": 3}}
    assert type(loaded) is type(network)
    assert type(model.clap) is type(clap)
    assert not loaded.training
    halves = {loaded: kind == "compact_clapsep", model.clap: towers == "clap"}
    if isinstance(model.clap, LaionClap):
        model.clap.build_text()  # until then it has none
    for own, module in ((network, loaded), (clap, model.clap)):
        assert module.config == own.config
        state = module.state_dict()
        assert state.keys() == own.state_dict().keys()
        for name, value in own.state_dict().items():
            kept = value.half().float() if halves[module] and value.dtype == torch.float32 else value
            assert torch.equal(state[name], kept), name


def test_two_saves_are_the_same_bytes_and_the_usual_towers_are_not_named(tmp_path: Path) -> None:
    one, two = (saved(tmp_path / f"{n}.safetensors", small_unet(wide_unet(64)), small_towers()) for n in (1, 2))
    assert one.read_bytes() == two.read_bytes()
    assert "towers" not in read_header(one)[0]
    other = saved(tmp_path / "other.safetensors", small_unet(), small_clap())
    assert read_header(other)[0]["towers"] == "clap"


def test_a_calibration_of_its_own_goes_before_that_of_the_gate(tmp_path: Path) -> None:
    path = tmp_path / "trained.safetensors"
    save_checkpoint(
        path, separator=small_unet(), clap=small_clap(), provenance={}, calibration=Calibration(0.2, 0.3), gate="any"
    )
    assert load_checkpoint(path, gate=lambda name: GATE).calibration == Calibration(0.2, 0.3)


def test_a_trained_unet_is_loaded_by_its_path_and_separates_what_it_is_asked_for(tmp_path: Path) -> None:
    gate = save_small(tmp_path / "listener.safetensors")
    path = saved(tmp_path / "trained.safetensors", small_unet(), small_clap(), str(gate))
    model = load_model(str(path))
    assert model.signature == model_signature(str(path))
    assert model.signature.startswith("trained-")
    condition = Condition(unet_condition(1).embedding, gate=random_condition(1).embedding)
    mixture = torch.from_numpy(lively(1.0)[:, : SMALL_UNET.window_samples])
    with torch.inference_mode():
        assert torch.equal(model.separator(mixture, condition), small_unet()(mixture, condition))
        presence = model.separator.presence(model.separator.encode(mixture), condition)
    assert presence.shape == (1, 1)


def test_a_network_that_cannot_tell_presence_needs_a_gate(tmp_path: Path) -> None:
    path = tmp_path / "trained.safetensors"
    with pytest.raises(ValueError, match=r"a conditional_unet cannot tell where a query sounds; name a gate"):
        saved(path, small_unet(), small_clap(), gate=None)
    assert not path.exists()
    with pytest.raises(CheckpointError, match=r"a network that cannot tell presence"):
        load_checkpoint(saved(path, small_unet(), small_clap()))


def test_adapters_are_merged_before_a_network_is_saved(tmp_path: Path) -> None:
    network = small_clapsep(dataclasses.replace(SMALL_CLAPSEP, embedding=EMBEDDING))
    add_adapters(network.encoder, 2, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "trained.safetensors"
    with pytest.raises(ValueError, match=r"separator has 12 adapters \(encoder\.layers.*lora_A.*merge them"):
        saved(path, network, small_clap())
    merge_adapters(network)
    assert "separator.encoder.layers.0.blocks.0.attn.qkv.weight" in read_header(saved(path, network, small_clap()))[1]


def test_towers_of_another_width_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"reads vectors of width 8, but these towers make 64; give the towers it was"):
        saved(tmp_path / "trained.safetensors", small_unet(), small_towers())


def test_a_network_that_reads_words_is_not_used_on_whole_vectors(tmp_path: Path) -> None:
    network = small_unet(dataclasses.replace(SMALL_UNET, token_width=12))
    path = saved(tmp_path / "trained.safetensors", network, small_clap())
    with pytest.raises(CheckpointError, match=r"word by word \(tokens of width 12\).* train one with token_width = 8"):
        load_checkpoint(path, gate=lambda name: GATE)


def test_what_is_no_network_of_ours_is_refused(tmp_path: Path) -> None:
    gated = GatedSeparator(small_unet(), small_separator())
    with pytest.raises(ValueError, match=r"got a GatedSeparator; of a gated separator give the network, and its gate"):
        saved(tmp_path / "trained.safetensors", gated, small_clap())


def test_towers_of_another_version_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "trained.safetensors", small_unet(), small_clap())
    with safe_open(path, framework="pt") as file:
        tensors, text = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()["soundquarry"]  # noqa: SIM118
    save_file(tensors, path, metadata={"soundquarry": text.replace('"towers": "clap"', '"towers": "brick"')})
    with pytest.raises(CheckpointError, match=r"holds towers of the kind 'brick', which cannot be used here"):
        load_checkpoint(path, gate=lambda name: GATE)
