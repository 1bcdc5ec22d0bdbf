"""The conditional U-Net at published size against the authors' code, on random weights.

Set SOUNDQUARRY_BIMODAL_AUTHORS to a checkout of github.com/microsoft/BiModalAudioSeparation; without it these tests are
skipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from bench.authors_bimodal import renamed
from bench.made_sounds import made_sounds
from model.conditional_unet import ConditionalUNet, ConditionalUNetConfig
from model.separator import Condition

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

ROOT: Final = Path(__file__).parents[2]
TRIPLES: Final = 2
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Comparison:
    """What both were given, the authors' masks, their number of parameters, and our network with the same weights."""

    given: dict[str, Array]
    masks: Array
    parameters: int
    network: ConditionalUNet


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    authors = os.environ.get("SOUNDQUARRY_BIMODAL_AUTHORS")
    if not authors:
        pytest.skip(
            "the authors' code is not here: set SOUNDQUARRY_BIMODAL_AUTHORS to a checkout of "
            "microsoft/BiModalAudioSeparation"
        )
    folder, random = tmp_path_factory.mktemp("parity"), np.random.default_rng(2)
    texts = random.standard_normal((TRIPLES, 512)).astype(np.float32)
    given = {
        "mixtures": made_sounds(TRIPLES, 8.2, 16_000, 2)[:, :131_070],
        "tokens": random.standard_normal((TRIPLES, 77, 768)).astype(np.float32),
        "texts": texts / np.linalg.norm(texts, axis=1, keepdims=True),
    }
    np.savez(folder / "given.npz", **given)
    weights = folder / "weights.safetensors"
    command = [sys.executable, "-m", "bench.authors_bimodal", str(folder / "given.npz"), str(folder / "theirs.npz")]
    subprocess.run([*command, "--authors", authors, "--weights", str(weights)], cwd=ROOT, check=True)
    network = ConditionalUNet(ConditionalUNetConfig())
    network.load_state_dict(renamed(load_file(weights)))
    weights.unlink()  # 350 MB
    with np.load(folder / "theirs.npz") as file:
        return Comparison(given, file["masks"], int(file["parameters"]), network.eval())


def condition_of(given: dict[str, Array], row: int) -> Condition:
    text, tokens = (torch.from_numpy(given[name][row : row + 1]) for name in ("texts", "tokens"))
    return Condition(functional.pad(text, (0, text.shape[1])), tokens=tokens)


@torch.inference_mode()
def test_masks_are_the_authors(comparison: Comparison) -> None:
    masks, worst = comparison.masks, 0.0
    assert masks.std(axis=(1, 2)).min() > 0.08  # a wrong network would be seen
    for row, theirs in enumerate(masks):
        mixture: Tensor = torch.from_numpy(comparison.given["mixtures"][row : row + 1])
        features = comparison.network.encode(mixture)
        ours = comparison.network.mask(features, condition_of(comparison.given, row)).bands[0].numpy()
        worst = max(worst, float(np.abs(ours - theirs).max()))
    print(f"masks: {worst:.1e}")
    assert worst < 1e-5


def test_parameters_are_the_authors_less_three_norms_that_nothing_calls(comparison: Comparison) -> None:
    ours = sum(
        p.numel() for part in (comparison.network.level_norm, comparison.network.unet) for p in part.parameters()
    )
    assert comparison.parameters == 87_681_250
    assert comparison.parameters - ours == 3 * 2 * 512
