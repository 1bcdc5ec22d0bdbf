"""The conditional U-Net in the stem engine, behind a gate of another rate and window: 8.19 s at a time, at any rate."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from small_model import EMBEDDING, SEPARATOR, Samples, lively, small_clap, small_model
from small_unet import small_unet
from torch import Tensor

from model.checkpoint import Model
from model.compact_clapsep import CompactCLAPSep
from model.conditional_unet import ConditionalUNet, ConditionalUNetConfig
from model.conditions import Query, condition_of
from model.gated import GatedSeparator
from model.separator import Condition, Features, MaskNetwork
from operators.stem_engine import Coverage, StemEngine
from operators.stretches import RESIDUAL, Stretch

CONFIG = dataclasses.replace(
    ConditionalUNetConfig(), width=1, maps=2, heads=2, embedding=EMBEDDING, token_width=EMBEDDING
)
QUERIES = [Query(texts=["a dog barking"]), Query(texts=["rain"], negative_texts=["wind"])]


class Transparent(ConditionalUNet):
    """Lets everything through."""

    def mask_logits(self, features: Features, condition: Condition) -> Tensor:
        return torch.full_like(super().mask_logits(features, condition), 30.0)


def gate() -> CompactCLAPSep:
    """A small network with mini's rate and windows."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = CompactCLAPSep(
            dataclasses.replace(SEPARATOR, sample_rate=32_000, window_samples=320_000, n_fft=2048, hop_samples=512)
        )
        network.activity_bias.data.fill_(0.0)
    return network.eval()


def engine_of(network: MaskNetwork, **options: bool) -> StemEngine:
    clap = small_clap()
    model = dataclasses.replace(
        small_model(), separator=GatedSeparator(network, gate()).eval(), clap=clap, gate_clap=clap
    )  # fmt: skip
    assert isinstance(model, Model)
    condition = condition_of(QUERIES, model.clap, model.gate_clap)
    return StemEngine(model, condition, [0.0] * len(QUERIES), window_batch=2, pair_batch=2, **options)


def summed(track: Samples, stretches: Sequence[Stretch], *queries: int) -> Samples:
    total = np.zeros_like(track)
    for stretch in stretches:
        if stretch.query in queries:
            total[:, stretch.start : stretch.start + stretch.stem.shape[1]] += stretch.stem
    return total


@pytest.fixture(scope="module")
def transparent() -> StemEngine:
    return engine_of(Transparent(CONFIG).eval())


def test_a_window_is_the_published_8_19_seconds_at_every_rate(transparent: StemEngine) -> None:
    assert transparent.sample_rate == 32_000  # the gate's
    for rate in (16_000, 32_000, 44_100, 48_000):
        grid = transparent.grid_at(rate)
        assert grid.length == int(131_070 / 16_000 * rate)
        assert grid.length / rate == pytest.approx(8.19, abs=0.002)


@pytest.mark.parametrize("rate", [16_000, 32_000, 44_100])
def test_a_mask_of_ones_gives_back_the_mixture(transparent: StemEngine, rate: int) -> None:
    track, coverage = lively(20.0, channels=2, rate=rate), Coverage()
    stretches = list(transparent.stretches(track, 0, 0, track.shape[1], coverage, rate))
    for query in range(len(QUERIES)):
        assert np.abs(summed(track, stretches, query) - track).max() < 1e-4
    assert len(coverage.presence) == 3
    assert all(0.0 < presence.min() <= presence.max() < 1.0 for presence in coverage.presence)


def test_stems_that_share_the_mixture_and_their_residual_are_the_mixture() -> None:
    engine, rate = engine_of(small_unet(CONFIG), exclusive=True, residual=True), 32_000
    track = lively(18.0, rate=rate)
    stretches = list(engine.stretches(track, 0, 0, track.shape[1], Coverage(), rate))
    assert np.abs(summed(track, stretches, RESIDUAL, 0, 1) - track).max() < 1e-4
    assert 0.02 < np.abs(summed(track, stretches, 0)).mean() / np.abs(track).mean() < 0.98


def test_spans_laid_end_to_end_equal_the_whole() -> None:
    engine, rate = engine_of(small_unet(CONFIG)), 44_100
    track, context = lively(20.0, rate=rate), 9 * 44_100
    whole = list(engine.stretches(track, 0, 0, track.shape[1], Coverage(), rate))
    parts = list[Stretch]()
    for start in range(0, track.shape[1], 7 * rate):
        stop, first = min(start + 7 * rate, track.shape[1]), max(0, start - context)
        parts += engine.stretches(track[:, first : stop + context], first, start, stop, Coverage(), rate)
    for query in range(len(QUERIES)):
        assert np.abs(summed(track, parts, query) - summed(track, whole, query)).max() < 1e-4
