"""How many windows and pairs a network takes at a time: what memory holds, or on a CPU what its caches like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from model.separator import MaskNetwork

CPU_WINDOWS: Final = 2
MOST_WINDOWS: Final = 16
MOST_PAIRS: Final = 64
"""Larger batches keep an accelerator no busier, and delay the first stem."""
SHARE: Final = 0.5
"""Of the free memory of an accelerator; the rest is for stems on their way out, and for what torch keeps."""


@dataclass(frozen=True)
class BatchSizes:
    """At most so many windows are encoded, and so many pairs decoded, at a time."""

    windows: int
    pairs: int


def batch_sizes(network: MaskNetwork, device: str) -> BatchSizes:
    """Batch sizes for a network on a device, as its memory is now."""
    if not device.startswith("cuda"):
        return BatchSizes(CPU_WINDOWS, network.cpu_pairs)
    free_bytes, _ = torch.cuda.mem_get_info(device)
    return sizes_that_fit(network, free_bytes)


def sizes_that_fit(network: MaskNetwork, free_bytes: int) -> BatchSizes:
    """Batch sizes for so much free memory. Windows are encoded before pairs are decoded: either may fill it."""
    room = SHARE * free_bytes
    return BatchSizes(
        windows=int(max(1, min(MOST_WINDOWS, room // network.window_bytes))),
        pairs=int(max(1, min(MOST_PAIRS, room // network.pair_bytes))),
    )
