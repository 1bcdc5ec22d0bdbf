"""Packed layers give what the layers gave that they replace."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from model.packed_linear import PackedLinear, can_pack, pack_linears


@pytest.mark.skipif(not can_pack(), reason="this CPU does not multiply bfloat16 natively")
@pytest.mark.parametrize("rows", [1, 7, 100])
def test_a_packed_network_is_the_network(rows: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Sequential(nn.Linear(30, 5, bias=False))).bfloat16()
    x = torch.randn(3, rows, 20).bfloat16()
    with torch.inference_mode():
        before = network(x)
        pack_linears(network, rows=7)
        after = network(x)
    assert isinstance(network[0], PackedLinear)
    assert isinstance(network[2][0], PackedLinear)
    assert not list(network.parameters())
    torch.testing.assert_close(after.float(), before.float(), rtol=1e-2, atol=1e-2)
