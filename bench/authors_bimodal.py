"""The authors' conditional U-Net of the bi-modal paper, run by their own code, to be compared with ours in numbers.

    python -m bench.authors_bimodal IN.npz OUT.npz --authors CHECKOUT --weights WEIGHTS.safetensors [--seed 0]

`CHECKOUT` is github.com/microsoft/BiModalAudioSeparation. IN holds `mixtures` float32[K, 131070] at 16 kHz, `tokens`
float32[K, L, 768] and `texts` float32[K, 512]; OUT gets `masks` float32[K, 512, 512], WEIGHTS the random weights that
made them, under the authors' names; `renamed` gives them ours. The front end and the head are put together as their
demo does it; their package is left aside, since importing it loads a CLAP and a display.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

N_FFT: Final = 1022
HOP: Final = 256
MAPS: Final = 32
EMBEDDING: Final = 512
RELEASED: Final = {
    "out_dim": MAPS, "cond_dim": 768, "num_downs": 7, "num_cond_blocks": 1, "num_res_layers": 1, "num_head": 8,
    "cond_layer": "sca",
}  # fmt: skip
"""Their options, as the commands in their README set them."""
SHALLOW: Final = 4
"""Levels that do not read the query."""
NAMES: Final = (
    (r"net\.bn0\.(.+)", r"level_norm.\1"),
    (r"fc\.(.+)", r"weigh.\1"),
    (r"head\.(.+)", r"\1"),
    (r"down(conv|norm)\.(.+)", r"unet.down.{level}.\1.\2"),
    (r"downresblock\.res_layers\.0\.0\.(.+)", r"unet.down.{level}.residual.conv.\1"),
    (r"downresblock\.res_layers\.0\.1\.(.+)", r"unet.down.{level}.residual.norm.\1"),
    (r"up(conv|norm)\.(.+)", r"unet.up.{level}.\1.\2"),
    (r"upresblock\.res_layers\.0\.0\.(.+)", r"unet.up.{level}.residual.conv.\1"),
    (r"upresblock\.res_layers\.0\.1\.(.+)", r"unet.up.{level}.residual.norm.\1"),
    (r"ca_blocks\.0\.sa_block\.(.+)", r"unet.condition.{deep}.places.\1"),
    (r"ca_blocks\.0\.ca_block\.(.+)", r"unet.condition.{deep}.tokens.\1"),
)
PARTS: Final = ((".attn.", ".attention."), (".mlp.fc1.", ".mlp.0."), (".mlp.fc2.", ".mlp.2."))
UNUSED: Final = re.compile(r"ca_blocks\.0\.norm1\..+")

Array = npt.NDArray[Any]


class AuthorsUNet(nn.Module):
    """Their network (`net`), the layer that weighs its maps (`fc`), and their product of both (`head`)."""

    def __init__(self, authors: Path) -> None:
        super().__init__()
        sys.modules["utils"] = ModuleType("utils")  # imported by theirs and not used; wants librosa, cv2 and moviepy
        self.net = _module(authors / "models/cond_unet_attn.py").CondAttUNet(**RELEASED)
        self.fc = nn.Linear(EMBEDDING, MAPS)
        self.head = _module(authors / "models/synthesizer_net.py").InnerProd(MAPS)

    @torch.inference_mode()
    def mask(self, mixture: Tensor, tokens: Tensor, text: Tensor) -> Tensor:
        """Mask [B, F, N] of windows [B, T], tokens [B, L, 768] and text embeddings [B, 512]."""
        from torchlibrosa.stft import STFT, magphase

        magnitude, _, _ = magphase(*STFT(n_fft=N_FFT, hop_length=HOP, freeze_parameters=True)(mixture))
        maps = self.net(torch.log1p(magnitude.transpose(-1, -2)), tokens)
        mask: Tensor = torch.sigmoid(self.head(torch.sigmoid(self.fc(text)), maps))
        return mask[:, 0]


@torch.no_grad()
def enliven(network: nn.Module, seed: int) -> None:
    """Random weights that make masks of a wide range, which differ with the query, in place."""
    generator = torch.Generator().manual_seed(seed)

    def random(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator)

    for name, parameter in network.named_parameters():
        if name == "head.scale":
            parameter.copy_(0.03 * random(parameter))  # maps spread over a hundred: log odds of about one
        elif parameter.ndim > 1:
            parameter.copy_(random(parameter) * 1.4 / parameter[0].numel() ** 0.5)
        else:
            parameter.add_(0.1 * random(parameter))
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(0.1 * random(buffer))
        elif name.endswith("running_var"):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Their weights under the names of `ConditionalUNet`, which reads queries and keys of places by two layers."""
    ours: dict[str, Tensor] = {}
    for name, value in state.items():
        level = name.count("submodule.")
        rest = re.sub(r"net\.unet_block\.(submodule\.)*", "", name)
        if UNUSED.fullmatch(rest):
            continue
        own = next(re.sub(pattern, new, rest) for pattern, new in NAMES if re.fullmatch(pattern, rest))
        own = own.replace("{level}", str(level)).replace("{deep}", str(level - SHALLOW))
        for old, new in PARTS:
            own = own.replace(old, new)
        if ".qkv." in own:
            width = len(value) // 3
            ours[own.replace(".qkv.", ".q.")] = value[:width]
            ours[own.replace(".qkv.", ".kv.")] = value[width:]
        else:
            ours[own] = value
    return ours


def _module(path: Path) -> Any:
    if not path.is_file():
        raise SystemExit(f"no {path}: give a checkout of github.com/microsoft/BiModalAudioSeparation with --authors")
    spec = importlib.util.spec_from_file_location(f"authors_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Masks of everything in the input, one triple at a time."""
    from safetensors.torch import save_file

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--authors", type=Path, required=True, help="checkout of microsoft/BiModalAudioSeparation")
    parser.add_argument("--weights", type=Path, required=True, help="where the random weights are written")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    network = AuthorsUNet(arguments.authors)
    enliven(network, arguments.seed)
    network.eval()
    save_file(network.state_dict(), arguments.weights)
    with np.load(arguments.input) as file:
        given = {name: torch.from_numpy(file[name]) for name in ("mixtures", "tokens", "texts")}
    masks = [
        network.mask(mixture[None], tokens[None], text[None])[0].numpy()
        for mixture, tokens, text in zip(given["mixtures"], given["tokens"], given["texts"], strict=True)
    ]
    counted = sum(p.numel() for p in network.net.parameters())
    np.savez(arguments.output, masks=np.stack(masks), parameters=counted)


if __name__ == "__main__":
    main()
