"""Low-rank adapters in the window attention of a frozen encoder: what CLAPSep trains of its mixture encoder.

    y  =  W x + c + (alpha / r) B A x          W frozen; A, B and the bias c learn; B begins as zeros

An encoder with adapters stays in eval mode: its norm keeps the statistics that the frozen weights were made with.
Before a network is exported its adapters are merged. Sources: LoRA (arXiv 2106.09685); rank, scale and which biases
learn: CLAPSep (arXiv 2402.17455) and its code. At the published size these are 36 layers with 860,160 numbers in A and
B, and 35,840 in biases.
"""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.low_rank import ALPHA, merged_weight
from model.swin import WindowAttention

RANK: Final = 16


class AdaptedLinear(nn.Module):
    """A linear layer and its adapter; tensors are named as in the published checkpoint (`lora_A` [r, inputs], `lora_B`
    [outputs, r])."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float, generator: torch.Generator | None) -> None:
        super().__init__()
        outputs, inputs = linear.weight.shape
        if not 0 < rank <= min(outputs, inputs):
            raise ValueError(f"a rank is 1 to {min(outputs, inputs)} for a layer of {inputs} to {outputs}, got {rank}")
        self.alpha = alpha
        self.weight, self.bias = linear.weight, linear.bias
        first = torch.empty(rank, inputs, dtype=torch.float32)
        nn.init.kaiming_uniform_(first, a=math.sqrt(5), generator=generator)
        self.lora_A = nn.Parameter(first.to(linear.weight))
        self.lora_B = nn.Parameter(linear.weight.new_zeros(outputs, rank))

    def forward(self, x: Tensor) -> Tensor:
        change = functional.linear(functional.linear(x, self.lora_A), self.lora_B)
        return functional.linear(x, self.weight, self.bias) + change * (self.alpha / len(self.lora_A))

    def merged(self) -> nn.Linear:
        """The plain layer that does the same."""
        outputs, inputs = self.weight.shape
        linear = nn.Linear(inputs, outputs, bias=self.bias is not None, device="meta")
        weight = merged_weight(self.weight, self.lora_A, self.lora_B, self.alpha)
        linear.weight = nn.Parameter(weight.to(self.weight.dtype))
        linear.bias = self.bias
        return linear


def add_adapters(
    encoder: nn.Module, rank: int = RANK, *, generator: torch.Generator | None = None, alpha: float = ALPHA
) -> None:
    """Freeze `encoder`, and put an adapter beside every linear layer of its window attention, in place.

    `generator`: None for torch's own, where a network is built under one seed. Raises ValueError where there is no
    such layer, and where there are adapters already.
    """
    if any(isinstance(module, AdaptedLinear) for module in encoder.modules()):
        raise ValueError("the encoder has adapters already; merge them first")
    attentions = [module for module in encoder.modules() if isinstance(module, WindowAttention)]
    if not attentions:
        raise ValueError(f"a {type(encoder).__name__} has no window attention to adapt; give an HTSAT encoder")
    encoder.requires_grad_(False)
    for attention in attentions:
        for name, child in list(attention.named_children()):
            if isinstance(child, nn.Linear):
                adapted = AdaptedLinear(child, rank, alpha, generator)
                if adapted.bias is not None:
                    adapted.bias.requires_grad_(True)
                setattr(attention, name, adapted)
    encoder.register_forward_pre_hook(_stay_in_eval)


def merge_adapters(module: nn.Module) -> None:
    """Fold every adapter below `module` into a plain layer, in place; all its parameters may learn again."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, AdaptedLinear):
                setattr(parent, name, child.merged())
        for key, hook in list(parent._forward_pre_hooks.items()):
            if hook is _stay_in_eval:
                del parent._forward_pre_hooks[key]
                parent.requires_grad_(True)


def _stay_in_eval(encoder: nn.Module, _: Any) -> None:
    if encoder.training:
        encoder.eval()
