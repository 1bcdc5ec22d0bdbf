"""Parts of a Swin transformer: the definition read slowly, place by place, and laion-clap's own blocks."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch
from small_towers import enliven
from torch import Tensor, nn

from model import laion_htsat
from model.laion_htsat import build_htsat
from model.swin import PatchExpand, PatchMerging, SwinBlock, WindowAttention

WIDTH, HEADS = 8, 2


@pytest.fixture(scope="module")
def theirs() -> ModuleType:
    """laion-clap's `htsat.py`."""
    build_htsat(8, (1, 1, 1, 1), (1, 1, 1, 1))
    return sys.modules[f"{laion_htsat.OWN_NAME}.htsat"]


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def read_slowly(attention: WindowAttention, x: Tensor, grid: int) -> Tensor:
    """The definition, one pair of places after the other, for one map [H, W, C].

    The windows lie on the map, half a window early where they are shifted: those at the border are cut.
    """
    side, shift, depth = attention.side, attention.shift, WIDTH // HEADS
    q, k, v = (part.reshape(grid, grid, HEADS, depth) for part in attention.qkv(x).split(WIDTH, dim=-1))
    table = attention.relative_position_bias_table
    window = [(place + side - shift) // side for place in range(grid)]
    places = [(row, column) for row in range(grid) for column in range(grid)]
    out = torch.zeros(grid, grid, HEADS, depth)
    for row, column in places:
        near = [(r, c) for r, c in places if (window[r], window[c]) == (window[row], window[column])]
        for head in range(HEADS):
            scores = [
                q[row, column, head] @ k[r, c, head] / depth**0.5
                + table[(row - r + side - 1) * (2 * side - 1) + column - c + side - 1, head]
                for r, c in near
            ]
            weights = torch.softmax(torch.stack(scores), dim=0)
            out[row, column, head] = sum(weight * v[r, c, head] for weight, (r, c) in zip(weights, near, strict=True))
    return attention.proj(out.reshape(grid, grid, WIDTH))


@pytest.mark.parametrize(("grid", "side", "shifted"), [(4, 2, False), (4, 2, True), (8, 4, True), (4, 4, True)])
@torch.inference_mode()
def test_window_attention_is_what_its_definition_says(grid: int, side: int, shifted: bool) -> None:
    attention = WindowAttention(WIDTH, grid=grid, heads=HEADS, side=side, shifted=shifted)
    enliven(attention, seed=1)
    batch = maps(3, grid, grid, WIDTH)
    together = attention(batch)
    assert torch.allclose(together[1], read_slowly(attention, batch[1], grid), atol=1e-6)
    assert torch.allclose(together[1:2], attention(batch[1:2]), atol=1e-6)


@torch.inference_mode()
def test_a_place_hears_its_window_alone_and_a_shift_moves_the_window() -> None:
    plain, shifted = (WindowAttention(WIDTH, grid=8, heads=HEADS, side=4, shifted=s) for s in (False, True))
    for attention, heard in ((plain, slice(0, 4)), (shifted, slice(2, 6))):
        enliven(attention, seed=2)
        x = maps(1, 8, 8, WIDTH)
        other = x.clone()
        other[0, 3, 3] += 1.0
        changed = (attention(other) - attention(x)).abs().sum(dim=-1)[0] > 1e-7
        expected = torch.zeros(8, 8, dtype=torch.bool)
        expected[heard, heard] = True
        assert torch.equal(changed, expected)


def test_a_map_of_one_window_is_not_shifted() -> None:
    assert WindowAttention(WIDTH, grid=4, heads=HEADS, side=4, shifted=True).shift == 0
    assert WindowAttention(WIDTH, grid=8, heads=HEADS, side=4, shifted=True).shift == 2
    assert SwinBlock(WIDTH, grid=4, heads=HEADS, side=8).attn.side == 4  # windows are no larger than the map


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"width": 8, "grid": 8, "heads": 3, "side": 4}, r"width = 8, heads = 3"),
        ({"width": 8, "grid": 12, "heads": 2, "side": 8}, r"windows the grid, .*grid = 12"),
    ],
)
def test_heads_and_windows_that_do_not_divide_are_refused(sizes: dict[str, int], said: str) -> None:
    width = sizes.pop("width")
    with pytest.raises(ValueError, match=said):
        WindowAttention(width, **sizes, shifted=False)


@pytest.mark.parametrize(("grid", "shifted"), [(16, False), (16, True), (8, True), (4, True)])
@torch.inference_mode()
def test_a_block_is_that_of_laion_clap(theirs: ModuleType, grid: int, shifted: bool) -> None:
    own = SwinBlock(WIDTH, grid=grid, heads=HEADS, side=8, shifted=shifted)
    enliven(own, seed=3)
    reference = theirs.SwinTransformerBlock(
        WIDTH, (grid, grid), num_heads=HEADS, window_size=8, shift_size=4 if shifted else 0
    ).eval()
    loaded = reference.load_state_dict(own.state_dict(), strict=False)
    assert loaded.unexpected_keys == []
    assert all("index" in name or "mask" in name for name in loaded.missing_keys)
    x = maps(2, grid, grid, WIDTH)
    expected, _ = reference(x.flatten(1, 2))
    assert float((own(x).flatten(1, 2) - expected).abs().max()) < 1e-6 * float(expected.abs().max())
    assert float((expected.reshape(x.shape) - x).abs().mean()) > 0.1  # the block does something


@torch.inference_mode()
def test_patch_merging_is_that_of_laion_clap(theirs: ModuleType) -> None:
    own = PatchMerging(WIDTH)
    enliven(own, seed=4)
    reference = theirs.PatchMerging((8, 8), WIDTH)
    reference.load_state_dict(own.state_dict())
    x = maps(2, 8, 8, WIDTH)
    merged = own(x)
    assert merged.shape == (2, 4, 4, 2 * WIDTH)
    assert float((merged.flatten(1, 2) - reference(x.flatten(1, 2))).abs().max()) < 1e-6


@torch.inference_mode()
def test_patch_expansion_undoes_the_order_of_patch_merging() -> None:
    """Merging keeps half of a patch's values, expansion puts them back: both halves make the map again."""
    merge, expand = PatchMerging(WIDTH), PatchExpand(2 * WIDTH)
    merge.norm, expand.norm = nn.Identity(), nn.Identity()
    x = maps(2, 8, 8, WIDTH)
    halves = []
    for half in torch.eye(4 * WIDTH).chunk(2):
        merge.reduction.weight.copy_(half)
        expand.expand.weight.copy_(half.T)
        halves.append(expand(merge(x)))
    assert torch.equal(halves[0] + halves[1], x)
    assert torch.equal(halves[0][:, :, ::2], x[:, :, ::2])  # column major in a patch: left places first
    assert not halves[0][:, :, 1::2].any()


@torch.inference_mode()
def test_patch_expansion_norms_every_place_of_the_finer_map() -> None:
    expanded = PatchExpand(2 * WIDTH)(maps(2, 4, 4, 2 * WIDTH))
    assert expanded.shape == (2, 8, 8, WIDTH)
    assert torch.allclose(expanded.mean(dim=-1), torch.zeros(2, 8, 8), atol=1e-5)
