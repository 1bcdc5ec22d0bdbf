"""Batches: no more than memory holds, never none, and no more than keeps a device busy."""

from __future__ import annotations

import pytest
from small_model import small_separator

from operators.batching import MOST_PAIRS, MOST_WINDOWS, BatchSizes, batch_sizes, sizes_that_fit


@pytest.mark.parametrize(
    ("free_bytes", "expected"),
    [
        (0, BatchSizes(1, 1)),
        (2 << 30, BatchSizes(4, 16)),
        (80 << 30, BatchSizes(MOST_WINDOWS, MOST_PAIRS)),
    ],
)
def test_half_of_the_free_memory_decides(free_bytes: int, expected: BatchSizes) -> None:
    assert sizes_that_fit(small_separator(), free_bytes) == expected


def test_on_a_cpu_the_network_decides() -> None:
    network = small_separator()
    assert batch_sizes(network, "cpu").pairs == network.cpu_pairs
