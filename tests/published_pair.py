"""The published pair of files at a hundredth of a percent of its size: made in code, laid out as it was published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

Tensors = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]

RANK = 2
BLOCK = "layers.0.blocks.0.attn"
SEPARATOR: Shapes = {
    "encoder.bn0.running_var": (6,),
    "encoder.patch_embed.proj.weight": (4, 1, 2, 2),
    f"encoder.{BLOCK}.relative_position_bias_table": (9, 2),
    f"encoder.{BLOCK}.qkv.weight": (12, 4),
    f"encoder.{BLOCK}.qkv.bias": (12,),
    f"encoder.{BLOCK}.proj.weight": (4, 4),
    f"encoder.{BLOCK}.proj.bias": (4,),
    "decoder.film.norm.bias": (4,),
    f"decoder.{BLOCK}.relative_position_bias_table": (9, 2),
    f"decoder.{BLOCK}.qkv.weight": (12, 4),
    "decoder.spec_norm.running_var": (5,),
}
CLAP: Shapes = {
    **{name.replace("encoder.", "audio_branch."): shape for name, shape in SEPARATOR.items() if "encoder." in name},
    "audio_projection.0.weight": (4, 4),
    "text_branch.embeddings.word_embeddings.weight": (7, 4),
    "text_projection.2.bias": (4,),
}


@dataclass
class Pair:
    """What the files hold, and where they lie."""

    checkpoint: Path
    clap: Path
    trained: Tensors
    towers: Tensors

    def write(self, **beside: Any) -> Pair:
        """Both files; `beside` lies next to the checkpoint's tensors, as a trainer stores it."""
        torch.save({"state_dict": self.trained, **beside} if beside else self.trained, self.checkpoint)
        content = {
            "epoch": 15,
            "name": "music",
            "best_score": np.float64(0.9014),  # published files hold such
            "state_dict": {f"module.{name}": value for name, value in self.towers.items()},
            "optimizer": {"state": {0: {"exp_avg": torch.ones(1000)}}, "param_groups": [{"lr": 1e-4, "params": [0]}]},
        }
        torch.save(content, self.clap)
        return self


def made_pair(folder: Path) -> Pair:
    """Random weights in the layout of the published files, not written yet."""
    random = np.random.default_rng(7)

    def made(shapes: Shapes) -> Tensors:
        return {n: torch.from_numpy(random.standard_normal(shape).astype(np.float32)) for n, shape in shapes.items()}

    towers = made(CLAP)
    constants = made(
        {"logit_scale_a": (), "audio_branch.head.weight": (3, 3), "text_transform.sequential.0.bias": (4,)}
    )
    indices = {
        "audio_branch.bn0.num_batches_tracked": torch.tensor(9),
        f"audio_branch.{BLOCK}.relative_position_index": torch.arange(16).reshape(4, 4),
        "text_branch.embeddings.position_ids": torch.arange(5)[None],
    }
    trained = made(
        {name.replace("decoder.", "decoder_model."): s for name, s in SEPARATOR.items() if name.startswith("decoder.")}
    )
    trained[f"decoder_model.{BLOCK}.relative_position_index"] = torch.arange(16).reshape(4, 4)
    trained["decoder_model.spec_norm.num_batches_tracked"] = torch.tensor(231_000)
    for layer, out in (("qkv", 12), ("proj", 4)):
        name = f"audio_branch.{BLOCK}.{layer}"
        trained |= made({f"{name}.lora_A": (RANK, 4), f"{name}.lora_B": (out, RANK), f"{name}.bias": (out,)})
        trained[f"clap_model.model.{name}.bias"] = towers[f"{name}.bias"]
    return Pair(folder / "best_model.ckpt", folder / "clap.pt", trained, towers | constants | indices)


def pair_of(folder: Path, separator: Mapping[str, Tensor], towers: Mapping[str, Tensor]) -> Pair:
    """The published layout of real networks' state dicts, not written yet: the decoder is the separator's, its encoder
    the towers' with random LoRA."""
    random = torch.Generator().manual_seed(7)
    trained: Tensors = {}
    for name, value in separator.items():
        owner, _, kind = name.rpartition(".")
        if name.startswith("decoder."):
            trained[name.replace("decoder.", "decoder_model.", 1).replace(".in_proj.", ".in_proj_")] = value
            if kind == "relative_position_bias_table":
                places = round((len(value) ** 0.5 + 1) / 2) ** 2
                trained[f"{owner.replace('decoder.', 'decoder_model.', 1)}.relative_position_index"] = torch.zeros(
                    places, places, dtype=torch.long
                )
        elif kind == "weight" and owner.endswith((".attn.qkv", ".attn.proj")):
            layer = owner.replace("encoder.", "audio_branch.", 1)
            outputs, inputs = value.shape
            trained[f"{layer}.lora_A"] = torch.randn(RANK, inputs, generator=random) / inputs**0.5
            trained[f"{layer}.lora_B"] = torch.randn(outputs, RANK, generator=random)
            trained[f"{layer}.bias"] = torch.randn(outputs, generator=random) / 10
            trained[f"clap_model.model.{layer}.bias"] = towers[f"{layer}.bias"]
    unused = {
        "logit_scale_a": torch.tensor(4.6),
        "text_transform.sequential.0.bias": torch.zeros(4),
        "text_branch.embeddings.position_ids": torch.arange(514)[None],
    }
    return Pair(folder / "best_model.ckpt", folder / "clap.pt", trained, {**towers, **unused})
