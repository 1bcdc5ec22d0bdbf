"""Random weights in exactly the layout of the published CLAPSep: to compare two implementations without the real ones.

    python -m bench.published_weights --out DIR [--seed N]

Writes `best_model.ckpt`, `music_audioset_epoch_15_esc_90.14.pt` and `tokenizer/`. The weights are lively: every layer
has an effect that a wrong implementation would show. Matrices keep the variance of what passes through them, gains
differ from one, biases and position tables from zero, LoRA turns its layer by as much as the layer has, batch norms fit
sounds, and masks use most of (0, 1), other ones for every query.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from bench.made_sounds import made_sounds
from bench.made_vocabulary import save_vocabulary
from bench.published_shapes import BUFFERS, CHECKPOINT, CLAP, Shape, audio_tower, checkpoint_shapes, clap_shapes

LORA_GAIN: Final = 16.0
"""Of B, with A of unit gain and 1/16 in front: the layer's output moves by its own size."""
FILM_GAIN: Final = 0.7
"""Standard deviation of gamma and beta over queries of unit length."""
MASK_GAIN: Final = 2.0
"""Standard deviation of mask logits."""
POSITION_GAIN: Final = 0.5
"""Of the relative position tables; attention logits have 1."""
BRANCH_GAIN: Final = 0.5
"""Of the last matrix of every residual branch. With 1, attention averages all places of a deep layer into one: between
the frames of a window masks then differ by 0.05, texts have a cosine of 0.9."""
_BRANCH_END: Final = re.compile(r"(attn\.proj|mlp\.fc2|output\.dense|out_proj|linear2)\.(weight|lora_B)$")


def published_state_dicts(seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What lies in `best_model.ckpt`, and laion-clap's tensors with `module.` before each name."""
    generator = torch.Generator().manual_seed(seed)
    tower = audio_tower()
    constants = {f"audio_branch.{name}": tensor for name, tensor in tower.state_dict().items()}
    statistics = _mel_statistics(tower) | _magnitude_statistics()
    clap = _filled(clap_shapes(tower.state_dict()), constants | statistics, generator)
    own = checkpoint_shapes(tower.state_dict())
    index = constants["audio_branch.layers.0.blocks.0.attn.relative_position_index"]
    own_constants = {name: index for name in own if name.endswith("relative_position_index")}
    checkpoint = _filled(own, own_constants | statistics, generator)
    for name in checkpoint:
        if name.startswith("clap_model.model."):  # frozen in training, so they are saved as they came
            checkpoint[name] = clap[name.removeprefix("clap_model.model.")].clone()
    return checkpoint, {f"module.{name}": tensor for name, tensor in clap.items()}


def save_published(folder: Path, seed: int) -> None:
    """Write the pair of files and the vocabulary into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint, clap = published_state_dicts(seed)
    torch.save(checkpoint, folder / CHECKPOINT)
    # numpy scalars beside the tensors, as in the real file: readers that allow tensors alone refuse it
    torch.save({"epoch": np.float64(15.0), "name": "random", "state_dict": clap}, folder / CLAP)
    save_vocabulary(folder / "tokenizer")


def _filled(shapes: Mapping[str, Shape], given: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    filled = {}
    for name, shape in shapes.items():
        if name in given and (BUFFERS.search(name) or "running_" in name):
            tensor = given[name].clone()
        elif name.endswith("position_ids"):
            tensor = torch.arange(shape[-1])[None]
        elif name.endswith("num_batches_tracked"):
            tensor = torch.tensor(231_000)
        else:
            tensor = _lively(name, shape, generator)
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} has to be {shape}, got {tuple(tensor.shape)}")
        filled[name] = tensor
    return filled


def _lively(name: str, shape: Shape, generator: torch.Generator) -> Tensor:
    if name.startswith("logit_scale"):
        return torch.tensor(math.log(1 / 0.07))
    normal = torch.randn(shape, generator=generator)
    kind = name.rpartition(".")[2]
    if kind == "bias":
        if name.endswith("gamma.bias"):
            return 1.0 + 0.1 * normal
        return normal if name.endswith("mask_net.3.bias") else 0.1 * normal
    if kind == "relative_position_bias_table":
        return POSITION_GAIN * normal
    if kind == "weight" and len(shape) == 1:  # of a norm
        return 1.0 + 0.1 * normal
    if name.endswith("mask_net.0.weight"):  # 64 features and 513 magnitudes side by side have as much to say
        return normal / torch.tensor([513.0] * 513 + [64.0] * 64).sqrt()
    return _gain(name) * normal / math.sqrt(_inputs(name, shape))


def _inputs(name: str, shape: Shape) -> int:
    """How many numbers are summed up in one output."""
    if "inverse_patch_embed" in name:  # transposed, strides as large as its kernel
        return shape[0]
    if "embeddings" in name or "skip_conv" in name:  # a row is picked, or the input's length is 1
        return 1
    return math.prod(shape[1:])


def _gain(name: str) -> float:
    """What a matrix does to the size of its input."""
    gains = {
        "lora_B": LORA_GAIN,
        "skip_conv": FILM_GAIN,
        "mask_net.3": MASK_GAIN,
        "position_embeddings": 0.3,
        "token_type_embeddings": 0.3,
    }
    branch = BRANCH_GAIN if _BRANCH_END.search(name) else 1.0
    return branch * next((gain for part, gain in gains.items() if part in name), 1.0)


def _mel_statistics(tower: Any) -> dict[str, Tensor]:
    """Mean and variance per band of the log-mel, in dB, that enters the tower's batch norm."""
    sounds = torch.from_numpy(made_sounds(8, 10.0, 48_000, seed=0))
    with torch.inference_mode():
        level = tower.logmel_extractor(tower.spectrogram_extractor(sounds)).flatten(0, 2)
    return {"audio_branch.bn0.running_mean": level.mean(0), "audio_branch.bn0.running_var": level.var(0)}


def _magnitude_statistics() -> dict[str, Tensor]:
    """Mean and variance per bin of the linear magnitudes that enter the decoder's batch norm."""
    sounds = torch.from_numpy(made_sounds(8, 10.0, 32_000, seed=0))
    magnitude = torch.stft(sounds, 1024, 320, window=torch.hann_window(1024), return_complex=True).abs()
    magnitude = magnitude.transpose(1, 2).flatten(0, 1)
    root = "decoder_model.spec_norm"
    return {f"{root}.running_mean": magnitude.mean(0), f"{root}.running_var": magnitude.var(0)}


def main() -> None:
    """Write a pair of files and say how large they are."""
    parser = argparse.ArgumentParser(description="Random weights in the published layout.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    save_published(arguments.out, arguments.seed)
    for name in (CHECKPOINT, CLAP):
        print(f"{arguments.out / name}: {(arguments.out / name).stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
