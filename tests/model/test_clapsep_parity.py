"""CLAPSep and its towers at published size against the authors' code, on random weights in the published layout.

Set SOUNDQUARRY_CLAPSEP_AUTHORS to a checkout of github.com/Aisaka0v0/CLAPSep, and SOUNDQUARRY_CLAPSEP_SITE to a folder
made by `pip install --no-deps --target FOLDER loralib einops torchaudio==2.11.0`; without them these tests are skipped.
"""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn import functional

from bench.made_sounds import made_sounds
from bench.made_vocabulary import sentences
from bench.published_shapes import CHECKPOINT, CLAP
from bench.published_weights import save_published
from model.clapsep import CLAPSep, CLAPSepConfig
from model.laion_towers import LaionClap, LaionClapConfig
from model.published import read_published
from model.published_layout import shapes_of
from model.roberta_tokenizer import tokenizer_json
from model.separator import Condition

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT: Final = Path(__file__).parents[2]
TRIPLES: Final = 20
TEXTS: Final = 12
SOUNDS: Final = 8
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Comparison:
    """What both were given, what the authors' code made of it, and our networks with the same weights."""

    given: dict[str, Array]
    theirs: dict[str, Array]
    separator: CLAPSep
    clap: LaionClap


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comparison]:
    authors, site = (os.environ.get(f"SOUNDQUARRY_CLAPSEP_{name}") for name in ("AUTHORS", "SITE"))
    if not authors:
        pytest.skip("the authors' code is not here: set SOUNDQUARRY_CLAPSEP_AUTHORS to a checkout of Aisaka0v0/CLAPSep")
    folder = tmp_path_factory.mktemp("parity")
    try:
        save_published(folder, seed=1)
        given = triples(seed=2)
        np.savez(folder / "given.npz", **given)
        files = [str(folder / "given.npz"), str(folder / "theirs.npz"), "--authors", authors, "--weights", str(folder)]
        command = [sys.executable, "-m", "bench.authors_clapsep", "separate", *files]
        subprocess.run([*command, *(["--site", site] if site else [])], cwd=ROOT, check=True)
        with np.load(folder / "theirs.npz") as file:
            theirs = dict(file)
        yield Comparison(given, theirs, *networks(folder))
    finally:
        shutil.rmtree(folder)  # a gigabyte


def networks(folder: Path) -> tuple[CLAPSep, LaionClap]:
    tokenizer = tokenizer_json(folder / "tokenizer/vocab.json", folder / "tokenizer/merges.txt")
    separator, clap = CLAPSep(CLAPSepConfig()), LaionClap(LaionClapConfig(), tokenizer)
    weights = read_published(
        folder / CHECKPOINT,
        folder / CLAP,
        separator_shapes=shapes_of(separator.state_dict()),
        clap_shapes=shapes_of(clap.state_dict()),
        verify=False,
    )
    separator.load_state_dict(weights.separator)
    clap.load_state_dict(weights.clap)
    return separator.eval(), clap.eval()


def triples(seed: int) -> dict[str, Array]:
    """Mixtures, and which text or sound each is asked for and spared of; -1 is neither."""
    random = np.random.default_rng(seed)
    positive = random.integers(0, TEXTS + SOUNDS, size=TRIPLES)
    negative = random.integers(-1, TEXTS + SOUNDS, size=TRIPLES)
    negative[:2], positive[2] = -1, -1
    return {
        "mixtures": made_sounds(TRIPLES, 10.0, 32_000, seed),
        "texts": random.choice(np.array(sentences()), size=TEXTS, replace=False),
        "sounds": made_sounds(SOUNDS, 4.0, 48_000, seed + 1),  # twice, then two seconds of silence
        "positive": positive,
        "negative": negative,
    }


@torch.inference_mode()
def embedded(clap: LaionClap, given: dict[str, Array]) -> Array:
    """Our embeddings of all texts, then of all sounds: float32[Q, D]."""
    texts = clap.embed_text(given["texts"].tolist())
    return torch.cat([texts, clap.embed_audio(torch.from_numpy(given["sounds"]))]).numpy()


@torch.inference_mode()
def errors(separator: CLAPSep, comparison: Comparison) -> Array:
    """||ours - theirs|| / ||theirs|| of every triple's stem."""
    given, theirs = comparison.given, comparison.theirs["waveforms"]
    queries = torch.from_numpy(embedded(comparison.clap, given))
    queries = torch.cat([queries, torch.zeros_like(queries[:1])])
    found = []
    for mixture, positive, negative, stem in zip(
        given["mixtures"], given["positive"], given["negative"], theirs, strict=True
    ):
        condition = functional.normalize(torch.cat([queries[positive], queries[negative]]), dim=0)
        ours = separator(torch.from_numpy(mixture)[None], Condition(condition[None]))[0].numpy()
        found.append(distance(ours, stem))
    return np.array(found)


def distance(ours: Array, theirs: Array) -> float:
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


def test_random_weights_make_masks_that_a_wrong_network_would_miss(comparison: Comparison) -> None:
    masks = comparison.theirs["masks"]  # (K, N, F)
    assert masks.std(axis=1).mean(axis=-1).min() > 0.1  # over time
    assert masks.std(axis=2).mean(axis=-1).min() > 0.15  # over frequency
    apart = [np.abs(masks[k] - masks[k - 1]).mean() for k in range(len(masks))]
    assert min(apart) > 0.03


def test_embeddings_of_texts_and_sounds_are_the_authors(comparison: Comparison) -> None:
    ours = embedded(comparison.clap, comparison.given)
    theirs = np.concatenate([comparison.theirs["texts"], comparison.theirs["sounds"]])
    worst = max(distance(a, b) for a, b in zip(ours, theirs, strict=True))
    print(f"embeddings: {worst:.1e}")
    assert worst < 1e-5


def test_stems_are_the_authors_in_single_precision(comparison: Comparison) -> None:
    worst = errors(comparison.separator, comparison).max()
    print(f"stems in float32: {worst:.1e}")
    assert worst < 1e-5  # 1e-4 would do; one bias of one layer less moves them by more than this


def test_stems_are_close_to_the_authors_in_bfloat16(comparison: Comparison) -> None:
    rounded = copy.deepcopy(comparison.separator)
    rounded.set_precision(torch.bfloat16)
    worst = errors(rounded, comparison).max()
    print(f"stems in bfloat16: {worst:.1e}")
    assert 1e-4 < worst < 2e-2
