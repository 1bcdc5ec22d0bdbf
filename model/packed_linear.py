"""Linear layers for bfloat16 on a CPU, their weights laid out once as oneDNN reads them.

`nn.Linear` lays them out at every call. One thread of an AMD EPYC 9004, 1001 rows: 196 to 209 GFLOP/s so, 204 to 225
packed (bench/clapsep_speed.py measures the whole). For inference only: a packed layer has no parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PackedLinear(nn.Module):
    """The same as a linear layer of bfloat16, for rows around `rows` in number (others work, less fast)."""

    def __init__(self, linear: nn.Linear, rows: int) -> None:
        super().__init__()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), rows)
        self._bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "none", [], "")
        return out


def pack_linears(module: nn.Module, rows: int) -> None:
    """Replace every linear layer below `module`."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, PackedLinear(child, rows))
        else:
            pack_linears(child, rows)


def can_pack() -> bool:
    """True where this build of torch and this CPU multiply bfloat16 natively."""
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return bool(native and torch.ops.mkldnn._is_mkldnn_bf16_supported())
