"""Where CLAPSep's time goes at published size: products, weights and CPU time of every part, on random weights.

    python -m bench.clapsep_cost [--precision bfloat16]

GFLOP counts the products of matrices and convolutions alone. "ms" is the time of one thread (CPU time, the best of
five), so other work on the machine hardly matters; the floor is what the same products would take at the speed of a
2048^3 product.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from model.clapsep import CLAPSep, CLAPSepConfig
from model.separator import Condition


def main() -> None:
    """Print one line per part."""
    parser = argparse.ArgumentParser(description="Cost of CLAPSep's parts.")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="bfloat16")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    dtype = getattr(torch, arguments.precision)
    network = CLAPSep(CLAPSepConfig()).eval().requires_grad_(False)
    mixture = 0.1 * torch.randn(1, network.window_samples)
    condition = Condition(torch.nn.functional.normalize(torch.randn(1, 1024), dim=-1))
    with torch.no_grad():
        counted = {name: _gflop(part) for name, part in _parts(network, mixture, condition).items()}
    weights = {name: sum(p.numel() for p in part.parameters()) for name, part in _modules(network).items()}
    network.set_precision(dtype)
    a = torch.randn(2048, 2048).to(dtype)
    with torch.inference_mode():
        peak = 2 * 2048**3 / _seconds(lambda: a @ a) / 1e9
        took = {name: _seconds(part) for name, part in _parts(network, mixture, condition).items()}
    print(f"{arguments.precision}, one thread; a product of 2048^3 runs at {peak:.0f} GFLOP/s")
    print("part                                    GFLOP   M weights       ms    floor ms   of the floor's speed")
    for name, gflop in counted.items():
        floor = 1e3 * gflop / peak
        print(
            f"{name:36} {gflop:8.2f} {weights.get(name, 0) / 1e6:11.2f} {1e3 * took[name]:8.1f} {floor:11.1f} "
            f"{floor / (1e3 * took[name]):12.0%}"
        )


def _modules(network: CLAPSep) -> dict[str, torch.nn.Module]:
    decoder = network.decoder
    return {
        "window: encoder (HTSAT)": network.encoder,
        "pair: decoder, all of it": decoder,
        "pair:   Swin stages": decoder.layers,
        "pair:   Transformer over frames": decoder.mask_net[2],
        "pair:     one layer": decoder.mask_net[2].layers[0],
        "pair:       attention": decoder.mask_net[2].layers[0].self_attn,
    }


def _parts(network: CLAPSep, mixture: torch.Tensor, condition: Condition) -> dict[str, Callable[[], Any]]:
    decoder = network.decoder
    signal = network.resample(mixture)
    features = network.encode(mixture)
    spectrum = network.analyse(mixture[:, None])
    mask = network.mask(features, condition)
    dtype = features.maps[0].dtype
    e = condition.embedding.to(dtype)
    frames = torch.randn(1, features.maps[-1].shape[1], network.config.mask_width).to(dtype)

    def stages() -> torch.Tensor:
        h = decoder.film(features.maps[0], e)
        for layer, skip, projected in zip(decoder.layers, decoder.skip, features.maps[1:-1], strict=True):
            h = skip(projected, e, layer(h))
        return h

    layer = decoder.mask_net[2].layers[0]
    return {
        "window: STFT, resampling": lambda: (network.analyse(mixture[:, None]), network.resample(mixture)),
        "window: encoder (HTSAT)": lambda: network.encoder(signal),
        "window: all of encode": lambda: network.encode(mixture),
        "pair: decoder, all of it": lambda: decoder(features.maps, e),
        "pair:   Swin stages": stages,
        "pair:   Transformer over frames": lambda: decoder.mask_net[2](frames),
        "pair:     one layer": lambda: layer(frames),
        "pair:       attention": lambda: layer.self_attn(frames),
        "pair: inverse transform": lambda: network.render(mask, spectrum, mixture.shape[1]),
    }


def _gflop(part: Callable[[], Any]) -> float:
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:  # it cannot see into fused attention
        part()
    return float(counter.get_total_flops()) / 1e9


def _seconds(part: Callable[[], Any]) -> float:
    best = float("inf")
    for _ in range(5):
        began = time.thread_time()
        part()
        best = min(best, time.thread_time() - began)
    return best


if __name__ == "__main__":
    main()
