"""Names and shapes of the two files in which CLAPSep is published: what belongs where, and nothing of the values.

    best_model.ckpt        a flat state dict of 300 tensors: the decoder, LoRA of the mixture encoder, trained biases
    music_audioset_...pt   laion-clap's checkpoint, 505 tensors named `module.*`: both towers and their projections

The audio tower's names come from laion-clap itself, built here without a download; the text tower's from transformers.
`BUFFERS` hold constants: index tables, and the kernels of torchlibrosa's STFT and mel bank.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]

CHECKPOINT: Final = "best_model.ckpt"
CLAP: Final = "music_audioset_epoch_15_esc_90.14.pt"
ROBERTA: Final = {"vocab_size": 50_265, "max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
EMBEDDING: Final = 512
LORA_RANK: Final = 16
BUFFERS: Final = re.compile(
    r"relative_position_index|attn_mask|num_batches_tracked|spectrogram_extractor|logmel_extractor|position_ids"
)
_TRAINED_BIAS: Final = re.compile(r"layers\.\d+\.blocks\.\d+\.attn\.(qkv|proj)\.bias")
_TRAINED_MATRIX: Final = re.compile(r"layers\.\d+\.blocks\.\d+\.attn\.(qkv|proj)\.weight")


def audio_tower() -> nn.Module:
    """laion-clap's HTSAT-base; its parameters are whatever its own initialisation leaves."""
    with torch.random.fork_rng(devices=[]), _laion_submodules():
        htsat = importlib.import_module("clap_module.htsat")
        config = json.loads((_laion_folder() / "clap_module/model_configs/HTSAT-base.json").read_text())
        tower: nn.Module = htsat.create_htsat_model(SimpleNamespace(**config["audio_cfg"]), False, "None")
    return tower


def clap_shapes(audio: Mapping[str, Tensor]) -> dict[str, Shape]:
    """laion-clap's tensors without `module.`, in the order of its file. `audio`: the state dict of `audio_tower`."""
    from transformers import RobertaConfig, RobertaModel

    with torch.device("meta"):
        text = RobertaModel(RobertaConfig(**ROBERTA))
    shapes: dict[str, Shape] = {"logit_scale_a": (), "logit_scale_t": ()}
    shapes |= {f"audio_branch.{name}": tuple(tensor.shape) for name, tensor in audio.items()}
    shapes["text_branch.embeddings.position_ids"] = (1, ROBERTA["max_position_embeddings"])
    shapes |= {f"text_branch.{name}": tuple(tensor.shape) for name, tensor in text.state_dict().items()}
    for name, width in (("text_transform.sequential", EMBEDDING), ("text_projection", text.config.hidden_size)):
        shapes |= _two_layers(name, width)
    for name, width in (("audio_transform.sequential", EMBEDDING), ("audio_projection", 1024)):
        shapes |= _two_layers(name, width)
    return shapes


def checkpoint_shapes(audio: Mapping[str, Tensor]) -> dict[str, Shape]:
    """The 300 tensors of CLAPSep's own checkpoint."""
    shapes = decoder_shapes()
    for name, tensor in audio.items():
        if _TRAINED_MATRIX.fullmatch(name):
            outputs, inputs = tensor.shape
            shapes[f"audio_branch.{name.removesuffix('weight')}lora_A"] = (LORA_RANK, inputs)
            shapes[f"audio_branch.{name.removesuffix('weight')}lora_B"] = (outputs, LORA_RANK)
    for tower in ("audio_branch", "clap_model.model.audio_branch"):
        shapes |= {
            f"{tower}.{name}": tuple(tensor.shape) for name, tensor in audio.items() if _TRAINED_BIAS.fullmatch(name)
        }
    return shapes


def decoder_shapes(dims: tuple[int, ...] = (1024, 512, 256, 128), condition: int = 2 * EMBEDDING) -> dict[str, Shape]:
    """The query-dependent half: 156 tensors; stage 0 is the coarsest."""
    root, bins, width, inner = "decoder_model", 513, 640, 2560
    shapes: dict[str, Shape] = {f"{root}.inverse_patch_embed.proj.weight": (dims[-1], 1, 4, 4)}
    shapes[f"{root}.inverse_patch_embed.proj.bias"] = (1,)
    shapes |= _norm(f"{root}.inverse_patch_embed.norm", dims[-1])
    for stage, dim in enumerate(dims):
        block, expand = f"{root}.layers.{stage}.blocks.0", f"{root}.layers.{stage}.downsample"
        shapes |= _norm(f"{block}.norm1", dim)
        shapes[f"{block}.attn.relative_position_bias_table"] = (225, dim // 32)
        shapes[f"{block}.attn.relative_position_index"] = (64, 64)
        shapes |= _linear(f"{block}.attn.qkv", dim, 3 * dim) | _linear(f"{block}.attn.proj", dim, dim)
        shapes |= _norm(f"{block}.norm2", dim)
        shapes |= _linear(f"{block}.mlp.fc1", dim, 4 * dim) | _linear(f"{block}.mlp.fc2", 4 * dim, dim)
        if stage > 0:
            shapes[f"{expand}.expand.weight"] = (4 * dim, 2 * dim)
            shapes |= _norm(f"{expand}.norm", dim)
    for stage, dim in enumerate(dims):
        shapes |= _film(f"{root}.skip.{stage}", dim, condition)
    shapes |= _norm(f"{root}.spec_norm", bins)
    shapes |= {f"{root}.spec_norm.{name}": (bins,) for name in ("running_mean", "running_var")}
    shapes[f"{root}.spec_norm.num_batches_tracked"] = ()
    shapes |= _linear(f"{root}.mask_net.0", 64 + bins, width) | _norm(f"{root}.mask_net.1", width)
    for index in range(3):
        layer = f"{root}.mask_net.2.layers.{index}"
        shapes[f"{layer}.self_attn.in_proj_weight"] = (3 * width, width)
        shapes[f"{layer}.self_attn.in_proj_bias"] = (3 * width,)
        shapes |= _linear(f"{layer}.self_attn.out_proj", width, width)
        shapes |= _linear(f"{layer}.linear1", width, inner) | _linear(f"{layer}.linear2", inner, width)
        shapes |= _norm(f"{layer}.norm1", width) | _norm(f"{layer}.norm2", width)
    shapes |= _linear(f"{root}.mask_net.3", width, bins)
    return shapes | _film(f"{root}.film", dims[0], condition)


def _linear(name: str, inputs: int, outputs: int) -> dict[str, Shape]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> dict[str, Shape]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _film(name: str, dim: int, condition: int) -> dict[str, Shape]:
    scales = _linear(f"{name}.skip_conv.beta", condition, dim) | _linear(f"{name}.skip_conv.gamma", condition, dim)
    return scales | _linear(f"{name}.feature_proj", dim, dim) | _norm(f"{name}.norm", dim)


def _two_layers(name: str, inputs: int) -> dict[str, Shape]:
    """laion-clap's heads: a transform's second layer stands behind a ReLU and a dropout, a projection's has none."""
    second = 3 if name.endswith("sequential") else 2
    return _linear(f"{name}.0", inputs, EMBEDDING) | _linear(f"{name}.{second}", EMBEDDING, EMBEDDING)


def _laion_folder() -> Path:
    found = importlib.util.find_spec("laion_clap")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("laion-clap is not installed: pip install -c constraints.txt .")
    return Path(next(iter(found.submodule_search_locations)))


@contextlib.contextmanager
def _laion_submodules() -> Iterator[None]:
    """`clap_module.htsat` is importable, without the package's own start, which asks the network for tokenizers."""
    stand_ins: dict[str, Any] = {"clap_module": ModuleType("clap_module")}
    stand_ins["clap_module"].__path__ = [str(_laion_folder() / "clap_module")]
    if importlib.util.find_spec("torchvision") is None:
        stand_ins |= {name: ModuleType(name) for name in ("torchvision", "torchvision.ops", "torchvision.ops.misc")}
        stand_ins["torchvision.ops.misc"].FrozenBatchNorm2d = type("FrozenBatchNorm2d", (nn.Module,), {})
    before = set(sys.modules)
    sys.modules.update(stand_ins)
    try:
        yield
    finally:  # what else imports laion-clap or looks for torchvision shall not meet these
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in ("clap_module", "torchvision"):
                del sys.modules[name]
