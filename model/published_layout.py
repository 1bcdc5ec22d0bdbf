"""Names and shapes of the published files, derived from the state dicts of our networks.

ours                              checkpoint                              CLAP file
decoder.X                         decoder_model.X (`in_proj.weight` is `in_proj_weight` there)
encoder.X.attn.{qkv,proj}.weight  audio_branch.X.attn.{..}.{lora_A,lora_B}  module.audio_branch.X.attn.{..}.weight
encoder.X.attn.{qkv,proj}.bias    audio_branch.X.attn.{..}.bias             (module.audio_branch.X.attn.{..}.bias)
encoder.X, all else                                                         module.audio_branch.X
X of the towers                   (clap_model.model.X)                      module.X
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Final

from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]

LORA: Final = re.compile(r"(encoder\..+\.attn\.(?:qkv|proj))\.(weight|bias)")
UNUSED: Final = re.compile(
    r"logit_scale_[at]|(text|audio)_transform\..+|text_branch\.embeddings\.(position|token_type)_ids"
    r"|audio_branch\.(head|tscam_conv|spectrogram_extractor|logmel_extractor)\..+"
    r"|audio_branch\..+\.(relative_position_index|attn_mask|num_batches_tracked)"
    r"|i?stft\..+"
)
"""What no embedding needs, constants that follow from the configuration, and (last line) the trainer's own STFT."""


@dataclass(frozen=True)
class CheckpointLayout:
    """What a checkpoint must hold, and the constants that it holds besides (and need not)."""

    required: dict[str, tuple[int, ...]]
    constants: dict[str, tuple[int, ...]]


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a state dict."""
    return {name: tuple(value.shape) for name, value in tensors.items()}


def checkpoint_layout(separator: Shapes, rank: int) -> CheckpointLayout:
    """The published checkpoint of a separator with these tensors: 300 of them at published size."""
    required: dict[str, tuple[int, ...]] = {}
    constants: dict[str, tuple[int, ...]] = {}
    for name, shape in separator.items():
        if name.startswith("decoder."):
            published = of_decoder(name)
            required[published] = shape
            owner, _, kind = published.rpartition(".")
            if kind == "relative_position_bias_table":  # [(2 w - 1)^2, heads] for windows of w x w
                places = ((isqrt(shape[0]) + 1) // 2) ** 2
                constants[f"{owner}.relative_position_index"] = (places, places)
            elif kind == "running_var":
                constants[f"{owner}.num_batches_tracked"] = ()
        elif lora := LORA.fullmatch(name):
            layer = lora.group(1).replace("encoder.", "audio_branch.", 1)
            if lora.group(2) == "bias":
                required[f"{layer}.bias"] = shape
            else:
                required[f"{layer}.lora_A"] = (rank, shape[1])
                required[f"{layer}.lora_B"] = (shape[0], rank)
        elif not name.startswith("encoder."):
            raise ValueError(f"a separator has encoder.* and decoder.*, got {name = }")
    return CheckpointLayout(required, constants)


def clap_layout(separator: Shapes, clap: Shapes) -> dict[str, tuple[int, ...]]:
    """What the CLAP file must hold for both: the towers, and what the mixture encoder begins as."""
    encoder = {name: shape for name, shape in separator.items() if name.startswith("encoder.")}
    return {name.replace("encoder.", "audio_branch.", 1): shape for name, shape in encoder.items()} | dict(clap)


def of_decoder(name: str) -> str:
    """The tensor of the checkpoint that is our `decoder.*`."""
    return name.replace("decoder.", "decoder_model.", 1).replace(".in_proj.", ".in_proj_")


def of_clap(name: str) -> str:
    """The tensor of the CLAP file that a name of a checkpoint stands for, if it is there."""
    return name.removeprefix("clap_model.model.")


def is_unused(name: str) -> bool:
    """Whether the tensor `name` (as the CLAP file calls it) is one that neither network has."""
    return UNUSED.fullmatch(name) is not None
