"""Adapters: nothing changes until they learn, they alone learn, and merged they do the same as plain weights."""

from __future__ import annotations

import copy

import pytest
import torch
from small_clapsep import ENCODER
from small_model import lively
from small_towers import enliven
from torch import Tensor, nn

from model.htsat import HTSATConfig, HTSATEncoder
from model.training.lora import AdaptedLinear, add_adapters, merge_adapters


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def plain() -> HTSATEncoder:
    encoder = HTSATEncoder(ENCODER)
    enliven(encoder, 0)
    return encoder.eval()


@pytest.fixture
def adapted(plain: HTSATEncoder) -> HTSATEncoder:
    encoder = copy.deepcopy(plain)
    add_adapters(encoder, 2, generator=seeded())
    return encoder


@pytest.fixture(scope="module")
def signal() -> Tensor:
    return torch.from_numpy(lively(2.0, rate=48_000))


def shaken(encoder: HTSATEncoder) -> HTSATEncoder:
    """The same, its adapters no longer zero."""
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if name.endswith("lora_B"):
                parameter.copy_(torch.randn(parameter.shape, generator=seeded(1)))
    return encoder


def last_tap(encoder: HTSATEncoder, signal: Tensor) -> Tensor:
    with torch.no_grad():
        return encoder(signal)[-1]


def test_at_the_published_size_860160_numbers_and_35840_biases_learn() -> None:
    with torch.device("meta"):
        encoder = HTSATEncoder(HTSATConfig())
    frozen = {name: tuple(p.shape) for name, p in encoder.named_parameters()}
    add_adapters(encoder, generator=seeded())
    learn = {name: p.numel() for name, p in encoder.named_parameters() if p.requires_grad}
    matrices = {name: count for name, count in learn.items() if ".lora_" in name}
    assert (len(matrices), sum(matrices.values())) == (72, 860_160)
    biases = {name: count for name, count in learn.items() if name.endswith(".bias")}
    assert (len(biases), sum(biases.values())) == (36, 35_840)
    assert len(learn) == 108
    shapes = {name: tuple(p.shape) for name, p in encoder.named_parameters()}
    assert frozen.items() <= shapes.items()
    assert shapes["layers.0.blocks.1.attn.qkv.lora_A"] == (16, 128)
    assert shapes["layers.0.blocks.1.attn.qkv.lora_B"] == (384, 16)
    assert shapes["layers.3.blocks.0.attn.proj.lora_B"] == (1024, 16)


def test_new_adapters_change_nothing(plain: HTSATEncoder, adapted: HTSATEncoder, signal: Tensor) -> None:
    assert torch.equal(last_tap(adapted, signal), last_tap(plain, signal))


def test_an_adapter_is_its_product_over_its_rank() -> None:
    linear = nn.Linear(6, 4)
    layer = AdaptedLinear(linear, 3, 1.0, seeded())
    with torch.no_grad():
        layer.lora_B.copy_(torch.randn(4, 3, generator=seeded(1)))
    x = torch.randn(5, 6, generator=seeded(2))
    expected = linear(x) + x @ (layer.lora_B @ layer.lora_A).T / 3
    assert torch.allclose(layer(x), expected, atol=1e-6)
    assert float(layer.lora_A.detach().abs().max()) <= 6**-0.5  # uniform, as the layer's own weights began


def test_merged_adapters_do_the_same_and_leave_no_trace(
    plain: HTSATEncoder, adapted: HTSATEncoder, signal: Tensor
) -> None:
    before = last_tap(shaken(adapted), signal)
    assert float((before - last_tap(plain, signal)).abs().max()) > 0.1
    merge_adapters(adapted)
    assert float((last_tap(adapted, signal) - before).abs().max()) < 1e-6 * float(before.abs().max())
    assert adapted.state_dict().keys() == plain.state_dict().keys()
    assert all(p.requires_grad for p in adapted.parameters())
    assert adapted.train().training
    adapted(signal)
    assert adapted.training


def test_a_step_moves_adapters_and_their_biases_and_nothing_else(
    plain: HTSATEncoder, adapted: HTSATEncoder, signal: Tensor
) -> None:
    before = {name: value.clone() for name, value in shaken(adapted).state_dict().items()}
    adapted.train()
    sum(tap.square().mean() for tap in adapted(signal)).backward()
    torch.optim.SGD([p for p in adapted.parameters() if p.requires_grad], 1.0).step()
    moved = {name for name, value in adapted.state_dict().items() if not torch.equal(value, before[name])}
    learn = {name for name, p in adapted.named_parameters() if p.requires_grad}
    assert moved == learn
    assert all(".attn." in name for name in moved)


def test_the_same_seed_begins_with_the_same_adapters(plain: HTSATEncoder) -> None:
    states = []
    for seed in (0, 0, 1):
        encoder = copy.deepcopy(plain)
        add_adapters(encoder, 2, generator=seeded(seed))
        states.append(encoder.state_dict()["layers.0.blocks.0.attn.qkv.lora_A"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_what_cannot_be_adapted_is_refused(plain: HTSATEncoder, adapted: HTSATEncoder) -> None:
    with pytest.raises(ValueError, match="has adapters already; merge them first"):
        add_adapters(adapted, generator=seeded())
    with pytest.raises(ValueError, match="a Linear has no window attention to adapt"):
        add_adapters(nn.Linear(2, 2), generator=seeded())
    with pytest.raises(ValueError, match="a rank is 1 to 8 for a layer of 8 to 24, got 9"):
        add_adapters(plain, 9, generator=seeded())
