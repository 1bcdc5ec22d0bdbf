"""Random CLAP towers of the published make: lively weights at any size, and a small tokenizer of RoBERTa's kind."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from model.laion_towers import LaionClap, LaionClapConfig
from model.roberta_tokenizer import tokenizer_json

SMALL = LaionClapConfig(
    width=8,
    depths=(1, 2, 2, 1),
    heads=(1, 2, 2, 4),
    vocabulary=300,
    text_width=48,
    text_layers=2,
    text_heads=4,
    embedding=64,
)
SENTENCES = [
    "a dog barking in the distance while rain falls on a tin roof",
    "applause",
    "somebody plays the piano, not too well",
    "Ünïcode — naïve?  two  spaces",
    "",
    "a helicopter passes " * 30,
    "the low hum of an engine, and a bell",
]


@functools.cache
def small_vocabulary(size: int = SMALL.vocabulary) -> tuple[str, str]:
    """The texts of a `vocab.json` and a `merges.txt` of exactly so many tokens."""
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator(
        SENTENCES, vocab_size=size, min_frequency=1, special_tokens=special, show_progress=False
    )
    with TemporaryDirectory() as folder:
        tokenizer.save_model(folder)
        words = json.loads((Path(folder) / "vocab.json").read_text("utf-8"))
        merges = (Path(folder) / "merges.txt").read_text("utf-8")
    words |= {f"madeupword{n:04}": n for n in range(len(words), size)}
    return json.dumps(words), merges


def write_small_vocabulary(folder: Path, size: int = SMALL.vocabulary) -> Path:
    """`vocab.json` and `merges.txt` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in zip(("vocab.json", "merges.txt"), small_vocabulary(size), strict=True):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@functools.cache
def small_tokenizer(size: int = SMALL.vocabulary) -> str:
    """The text of a `tokenizer.json` of exactly so many tokens."""
    with TemporaryDirectory() as name:
        folder = write_small_vocabulary(Path(name), size)
        return tokenizer_json(folder / "vocab.json", folder / "merges.txt")


def small_towers(config: LaionClapConfig = SMALL, seed: int = 0) -> LaionClap:
    towers = LaionClap(config, small_tokenizer(config.vocabulary))
    enliven(towers, seed)
    return towers


@torch.no_grad()
def enliven(towers: nn.Module, seed: int) -> None:
    """Weights scaled by their number of inputs, in place, so that other inputs give clearly other outputs."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in towers.named_parameters():
        if "_extractor" in name:  # the Fourier and the mel matrix
            continue
        if weight.ndim > 1:
            gain = 2.0 if "table" in name or name.split(".")[-2] in ("query", "key") else 1.0
            inputs = 1 if "table" in name else weight[0].numel()
            weight.normal_(0.0, gain / inputs**0.5, generator=generator)
        elif name.endswith("weight"):
            weight.uniform_(0.5, 1.5, generator=generator)
        else:
            weight.normal_(0.0, 0.1, generator=generator)
    for name, buffer in towers.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(-40.0, 5.0, generator=generator)  # levels in dB
        elif name.endswith("running_var"):
            buffer.uniform_(100.0, 400.0, generator=generator)


def sounds_at_48_khz(samples: int = 480_000) -> Tensor:
    """A sine, a chirp, noise, clicks, tones in noise, silence: Tensor[6, T]."""
    time = torch.arange(samples) / 48_000
    noise = torch.randn(2, samples, generator=torch.Generator().manual_seed(7))
    return torch.stack(
        [
            0.5 * torch.sin(2 * torch.pi * 1000 * time),
            0.5 * torch.sin(2 * torch.pi * (100 * time + 600 * time**2)),
            0.1 * noise[0],
            (torch.arange(samples) % 9_001 == 0).float(),
            0.3 * torch.sin(2 * torch.pi * 440 * time) * (torch.sin(9 * time) > 0) + 0.01 * noise[1],
            torch.zeros(samples),
        ]
    )
