"""The mask network: torch's own encoder with the same weights, and a part of the spectrum's that serves all queries."""

from __future__ import annotations

import pytest
import torch
from small_towers import enliven
from torch import Tensor, nn

from model.mask_transformer import MaskTransformer, TransformerLayer

BINS, BANDS, WIDTH, HEADS, LAYERS = 33, 16, 24, 4, 3


def frames(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def network() -> MaskTransformer:
    network = MaskTransformer(bins=BINS, bands=BANDS, width=WIDTH, heads=HEADS, layers=LAYERS)
    enliven(network, seed=0)
    return network.eval()


def encoder_of_torch(network: MaskTransformer) -> nn.TransformerEncoder:
    """`nn.TransformerEncoder` as the authors build it, with our weights."""
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, dim_feedforward=4 * WIDTH, batch_first=True)
    encoder = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False).eval()
    named = {name.replace(".in_proj.", ".in_proj_"): weight for name, weight in network[2].state_dict().items()}
    encoder.load_state_dict(named)  # strict: these and no others
    return encoder


@torch.no_grad()
def test_the_layers_are_those_of_torchs_encoder(network: MaskTransformer) -> None:
    x = frames(2, 50, WIDTH)
    expected = encoder_of_torch(network)(x)
    assert float((network[2](x) - expected).abs().max()) < 1e-6 * float(expected.abs().max())
    assert float((expected - x).abs().mean()) > 0.3  # the layers do something


@torch.no_grad()
def test_with_a_part_of_its_own_the_spectrum_is_heard_as_when_it_is_joined_to_the_query(
    network: MaskTransformer,
) -> None:
    """The published `nn.Sequential` on [spectrum, h], side by side."""
    magnitude, h = frames(3, 40, BINS, seed=1), frames(3, 40, BANDS, seed=2)
    whole = nn.Sequential(network[0], network[1], encoder_of_torch(network), network[3])
    expected = whole(torch.cat([magnitude, h], dim=-1))
    logits = network(network.spectrum_part(magnitude), h)
    assert logits.shape == (3, 40, BINS)
    assert float((logits - expected).abs().max()) < 1e-5
    assert float(expected.std()) > 0.3


@torch.no_grad()
def test_one_part_of_a_spectrum_serves_every_query(network: MaskTransformer) -> None:
    part, h = network.spectrum_part(frames(1, 40, BINS)), frames(4, 40, BANDS, seed=3)
    together = network(part.expand(4, -1, -1), h)
    alone = torch.cat([network(part, row[None]) for row in h])
    assert torch.allclose(together, alone, atol=1e-5)
    assert float((together[1:] - together[:-1]).abs().mean()) > 0.05  # h matters


@torch.no_grad()
def test_attention_takes_any_number_of_frames_and_knows_no_order(network: MaskTransformer) -> None:
    attention = network[2].layers[0].self_attn
    x, order = frames(2, 7, WIDTH), torch.randperm(7, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(attention(x[:, order]), attention(x)[:, order], atol=1e-5)


def test_inference_leaves_its_input_untouched_and_gradients_are_those_of_torch(network: MaskTransformer) -> None:
    x = frames(1, 20, WIDTH)
    kept = x.clone()
    with torch.inference_mode():
        network[2](x)
    assert torch.equal(x, kept)
    own, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    network[2](own).square().sum().backward()
    encoder_of_torch(network)(theirs).square().sum().backward()
    network.zero_grad(set_to_none=True)
    assert own.grad is not None
    assert theirs.grad is not None
    assert float((own.grad - theirs.grad).abs().max()) < 1e-4 * float(theirs.grad.abs().max())


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"heads must divide the width, got width = 24, heads = 5"):
        TransformerLayer(24, 5)
