"""A small random CLAPSep made in code: the published windows, rates and grids, a thousandth of the weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from small_towers import SMALL, enliven, small_towers
from torch.nn import functional

from model.checkpoint import save_checkpoint
from model.clapsep import CLAPSep, CLAPSepConfig
from model.htsat import HTSATConfig
from model.separator import Condition

ENCODER = HTSATConfig(width=SMALL.width, depths=SMALL.depths, heads=SMALL.heads)
SMALL_CLAPSEP = CLAPSepConfig(
    embedding=SMALL.embedding, encoder=ENCODER, mask_width=32, mask_heads=4, mask_layers=2
)  # fmt: skip


def small_clapsep(config: CLAPSepConfig = SMALL_CLAPSEP, seed: int = 0) -> CLAPSep:
    """A random CLAPSep whose masks use much of their range, and differ in time, in frequency and with the query."""
    network = CLAPSep(config)
    enliven(network, seed)
    decoder, bins = network.decoder, config.n_fft // 2 + 1
    with torch.no_grad():
        for skip in (decoder.film, *decoder.skip):  # a condition has length 1, whatever its width
            for layer in (skip.skip_conv.gamma, skip.skip_conv.beta):
                layer.weight *= (2 * config.embedding) ** 0.5
        decoder.spec_norm.running_mean.copy_(torch.linspace(4.0, 1.0, bins))  # magnitudes, not levels in dB
        decoder.spec_norm.running_var.copy_(torch.linspace(60.0, 6.0, bins))
        decoder.mask_net[0].weight[:, bins:] *= 3.0  # what the query found counts beside a wide spectrum
        decoder.mask_net[3].weight *= 2.0
    return network.eval()


def random_queries(queries: int, config: CLAPSepConfig = SMALL_CLAPSEP, seed: int = 0) -> Condition:
    rows = np.random.default_rng(seed).standard_normal((queries, 2 * config.embedding)).astype(np.float32)
    return Condition(functional.normalize(torch.from_numpy(rows), dim=-1))


def save_small_published(path: Path, seed: int = 0, gate: str = "mini") -> Path:
    """A small CLAPSep, its towers and their tokenizer in one file."""
    save_checkpoint(
        path,
        separator=small_clapsep(seed=seed),
        clap=small_towers(seed=seed),
        gate=gate,
        provenance={"data": "none", "seed": seed},
    )
    return path
