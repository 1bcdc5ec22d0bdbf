from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import operators.near_duplicates
from operators.embeddings import Half
from operators.near_duplicates import near_duplicates


def at_angles(*degrees: float) -> Half:
    """Unit vectors in the plane."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float16)


def one_by_one(vectors: Half, threshold: float) -> list[int]:
    """The rule as it reads, in exact numbers."""
    exact = vectors.astype(np.float64)
    kept: list[int] = []
    originals = []
    for row in range(len(exact)):
        near = [other for other in kept if exact[row] @ exact[other] >= threshold]
        originals.append(near[0] if near else -1)
        if not near:
            kept.append(row)
    return originals


def families(count: int, width: int = 16, seed: int = 0) -> Half:
    """Vectors in many tight and loose groups, so that every cosine occurs."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((count // 8, width))
    vectors = centres[random.integers(len(centres), size=count)]
    vectors = vectors + random.uniform(0, 0.5, (count, 1)) * random.standard_normal((count, width))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def test_a_row_repeats_the_best_kept_row_that_it_is_near_to() -> None:
    # 20 is near to 10, which repeats 0: a chain is not followed, and 20 is kept. 25 is near to 20 alone, 8 to 0 first.
    vectors = at_angles(0, 10, 20, 25, 8, 90)
    assert near_duplicates(vectors, np.cos(np.radians(12))).tolist() == [-1, 0, -1, 2, 0, -1]


@pytest.mark.parametrize("block_rows", [1, 7, 64, 2048])
def test_blocks_change_nothing(block_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = families(600)
    expected = one_by_one(vectors, 0.95)
    assert 100 < sum(original >= 0 for original in expected) < 550
    monkeypatch.setattr(operators.near_duplicates, "BLOCK_ROWS", block_rows)
    assert near_duplicates(vectors, 0.95).tolist() == expected


def test_a_cosine_at_the_threshold_itself_is_decided_exactly() -> None:
    vectors = families(40, width=256)
    exact: NDArray[np.float64] = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    pairs = np.argwhere(np.tril(exact > 0.7, -1))
    assert len(pairs) > 20
    for row, other in pairs:
        pair = vectors[[other, row]]
        assert near_duplicates(pair, exact[row, other]).tolist() == [-1, 0]
        assert near_duplicates(pair, np.nextafter(exact[row, other], 2.0)).tolist() == [-1, -1]


def test_copies_without_end_are_all_copies_of_the_first() -> None:
    vectors = np.repeat(at_angles(30), 5000, axis=0)
    assert near_duplicates(vectors).tolist() == [-1] + [0] * 4999


def test_nothing_has_no_duplicates() -> None:
    assert near_duplicates(np.empty((0, 0), np.float16)).tolist() == []
