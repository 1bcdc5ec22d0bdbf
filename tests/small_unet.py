"""Small random conditional U-Nets made in code: the real class, a thousandth of the cost, nothing learned."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from model.conditional_unet import ConditionalUNet, ConditionalUNetConfig
from model.separator import Condition

SMALL_UNET = ConditionalUNetConfig(
    sample_rate=4000,
    window_samples=64 * 32 - 2,
    n_fft=126,
    hop_samples=32,
    width=4,
    downs=4,
    conditioned=2,
    maps=4,
    heads=2,
    embedding=8,
    token_width=8,
)


def small_unet(config: ConditionalUNetConfig = SMALL_UNET, seed: int = 0) -> ConditionalUNet:
    """A random U-Net whose masks use much of their range, and differ with the query."""
    network = ConditionalUNet(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                spread = 1.4 / module.weight[0].numel() ** 0.5
                module.weight.copy_(spread * torch.randn(module.weight.shape, generator=generator))
                if module.bias is not None:
                    module.bias.copy_(0.1 * torch.randn(module.bias.shape, generator=generator))
            elif isinstance(module, nn.BatchNorm2d):
                module.running_mean.copy_(0.1 * torch.randn(module.num_features, generator=generator))
                module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=generator))
        network.weigh.weight *= 3.0 * config.embedding**0.5 / 1.4
        network.scale.copy_(2.0 * torch.randn(config.maps, generator=generator))
        network.level_norm.running_mean.fill_(0.5)
        network.level_norm.running_var.fill_(0.5)
    return network.eval()


def unet_condition(
    queries: int, config: ConditionalUNetConfig = SMALL_UNET, *, tokens: int | None = None, seed: int = 0
) -> Condition:
    """Random rows without a negative; with `tokens`, so many tokens each."""
    random = np.random.default_rng(seed)
    positive = random.standard_normal((queries, config.embedding)).astype(np.float32)
    embedding = functional.normalize(torch.from_numpy(np.pad(positive, ((0, 0), (0, config.embedding)))), dim=1)
    if tokens is None:
        return Condition(embedding)
    read = random.standard_normal((queries, tokens, config.token_width)).astype(np.float32)
    return Condition(embedding, tokens=torch.from_numpy(read))
