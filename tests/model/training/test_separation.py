"""Supervised training: the loss is the error of the stem that would be rendered, and a tiny network lowers it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from small_model import WordSentences, small_clap, small_separator
from tone_library import HERTZ, tone_library
from torch.nn import functional

from model.metrics import snr_sdr
from model.separator import Condition
from model.training.clips import ClipLibrary
from model.training.loop import Schedule, train
from model.training.separation import SeparationRecipe, SeparationTask
from model.training.training_state import StateFile

RECIPE = SeparationRecipe(batch=4, frames=128, third_source_share=0.3, seed=5)


@pytest.fixture(scope="module")
def library() -> ClipLibrary:
    return tone_library()


def task_of(library: ClipLibrary, recipe: SeparationRecipe = RECIPE) -> SeparationTask:
    """A task on a random network; sounds are embedded by a fixed random vector per label."""
    sentences, clap = WordSentences()(library.captions), small_clap()
    with torch.no_grad():
        text = clap.embed_sentences(sentences)
    of_label = {label: row for row, label in enumerate(HERTZ)}
    random = torch.randn(len(HERTZ), text.shape[1], generator=torch.Generator().manual_seed(0))
    audio = functional.normalize(random, dim=-1)[[of_label[clip.label] for clip in library.clips]]
    return SeparationTask(small_separator(), library, text, audio, sentences, recipe)


def test_same_seed_and_step_same_batch(library: ClipLibrary) -> None:
    task = task_of(library)
    one, same, other = (task._draw(np.random.default_rng([RECIPE.seed, step])) for step in (3, 3, 4))
    for field in dataclasses.fields(one):
        assert torch.equal(getattr(one, field.name), getattr(same, field.name)), field.name
    assert not torch.equal(one.mixture, other.mixture)
    with torch.no_grad():
        task.network.eval()
        first, second = task(3), task_of(library)(3)
    assert {name: float(value) for name, value in first.items()} == {k: float(v) for k, v in second.items()}


def test_a_batch_is_what_it_says(library: ClipLibrary) -> None:
    recipe = dataclasses.replace(RECIPE, batch=40, third_source_share=0.0, absent_share=0.5)
    task = task_of(library, recipe)
    batch = task._draw(np.random.default_rng(0))
    assert batch.mixture.shape == (40, task.samples)
    assert torch.allclose(batch.sources.sum(dim=1), batch.mixture, atol=1e-5)  # two sources are the mixture
    assert batch.mixture.abs().max() <= 1.0
    there = batch.pair_source >= 0
    assert int(there.sum()) == 80  # every source is asked for
    assert 8 < int((~there).sum()) < 32  # and about half of the mixtures for what is not there
    length = batch.condition.norm(dim=1)
    assert torch.allclose(length, torch.ones_like(length), atol=1e-5)
    half = batch.condition.shape[1] // 2
    empty = [(batch.condition[there][:, part].abs().sum(dim=1) == 0).float().mean() for part in
             (slice(0, half), slice(half, None))]  # fmt: skip
    assert 0.02 < empty[0] < 0.3  # negative only
    assert 0.3 < empty[1] < 0.75  # positive only
    assert bool((batch.candidate_valid[batch.candidate_present.amax(dim=1) > 0] == 1).all())


@torch.no_grad()
def errors_db(task: SeparationTask, step: int) -> dict[str, float]:
    """SNR in dB as the task tells it without rendering, and of the same masks applied to bins and rendered."""
    network = task.network.eval()
    batch = task._draw(np.random.default_rng([task.recipe.seed, step]))
    mixture = network.stft.analyse(batch.mixture)[batch.pair_mixture]
    with torch.autocast("cpu", torch.bfloat16):
        features = network.encode_spectrum(network.stft.analyse(batch.mixture)).select(batch.pair_mixture)
        mask = network.mask(features, Condition(batch.condition))
    truth = batch.sources[batch.pair_mixture, batch.pair_source]
    reference = network.stft.analyse(truth)
    bands = mask.bands[..., : mixture.shape[-1]]
    bins = network.mel.to_bins(bands)
    error = (bins * mixture - reference).abs().square().sum(dim=(1, 2))
    spread = (network.mel.to_bins(bands.square()) - bins.square()) * mixture.abs().square()  # variance between bands
    energy = reference.abs().square().sum(dim=(1, 2))
    return {
        "told": float(task(step)["snr"]),
        "with variance": float((10 * torch.log10(energy / (error + spread.sum(dim=(1, 2))))).mean()),
        "spectral": float((10 * torch.log10(energy / error)).mean()),
        "rendered": float(snr_sdr(network.render(mask, mixture[:, None], task.samples)[:, 0], truth).mean()),
    }


ALL_PRESENT = dataclasses.replace(RECIPE, snr_limit_db=100.0, absent_share=0.0)


@pytest.mark.parametrize("step", range(4))
def test_the_error_on_mel_bands_exceeds_the_spectral_one_by_the_masks_variance_alone(
    library: ClipLibrary, step: int
) -> None:
    snr = errors_db(task_of(library, ALL_PRESENT), step)  # random masks: as rough as can be
    assert snr["told"] == pytest.approx(snr["with variance"], abs=0.01)
    assert snr["told"] <= snr["spectral"] <= snr["rendered"] + 0.1


def test_the_loss_goes_down_and_stays_finite(library: ClipLibrary, tmp_path: Path) -> None:
    task, curve = task_of(library), list[dict[str, float]]()
    schedule = Schedule(steps=40, rate=0.01, warmup_steps=5, log_every=10)
    state = train(task.network, task, schedule, StateFile(tmp_path / "separator.pt"), on_log=curve.append)
    assert all(np.isfinite(list(row.values())).all() for row in curve)
    assert curve[-1]["loss"] < curve[0]["loss"] - 1.0
    assert curve[-1]["presence"] < 0.8 * curve[0]["presence"]
    assert curve[-1]["snr"] > curve[0]["snr"]
    learned = task_of(library, ALL_PRESENT)
    learned.network.load_state_dict(state.average.module.state_dict())
    snr = errors_db(learned, 0)
    assert snr["told"] <= snr["spectral"] < snr["told"] + 0.5  # once masks are smooth, the bound is tight


def test_every_weight_of_the_network_is_trained(library: ClipLibrary) -> None:
    task = task_of(library)
    task.network.train()
    task(0)["loss"].backward()
    assert [name for name, weight in task.network.named_parameters() if weight.grad is None] == []
    assert all(bool(torch.isfinite(weight.grad).all()) for weight in task.network.parameters())


def test_silent_clips_give_a_finite_loss() -> None:
    silent = tone_library()
    for clip in silent.clips[::2]:
        clip.sound[:] = 0
    task = task_of(silent)
    for step in range(3):
        terms = task(step)
        terms["loss"].backward()
        assert all(bool(torch.isfinite(value)) for value in terms.values())
    assert all(bool(torch.isfinite(p.grad).all()) for p in task.network.parameters() if p.grad is not None)
