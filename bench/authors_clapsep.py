"""The authors' CLAPSep, run by their own code, to be compared with ours in numbers and in time.

    python -m bench.authors_clapsep separate IN.npz OUT.npz --authors CHECKOUT --weights DIR [--site DIR]
    python -m bench.authors_clapsep embed    IN.npz OUT.npz --authors CHECKOUT --weights DIR [--site DIR]
    python -m bench.authors_clapsep loop     FILE.wav --query "a dog" --query "rain|wind" --authors ... --weights ...

`CHECKOUT` is github.com/Aisaka0v0/CLAPSep, `DIR` of the weights what `bench.published_weights` writes, or the real pair
with RoBERTa's tokenizer files in `tokenizer/`; `bench/authors_imports.py` says what `--site` is for. Start it from the
root of the repository, in a process of its own: the authors' package is called `model` as well.

The repository has no inference of its own, only the pieces. They are put together as the released wrapper does: one
window of 10 s at a time, the concatenated condition L2-normalised, LoRA merged by `eval()` after the weights are in.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import psutil
import torch
from torch import Tensor
from torch.nn import functional

from bench.authors_imports import prepare
from bench.published_shapes import CHECKPOINT, CLAP

SAMPLE_RATE: Final = 32_000
WINDOW: Final = 320_000
CONFIG: Final = "experiments/CLAPSep_base/config.json"

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Published:
    """The tensors of the published pair, under the names that the authors' networks give them."""

    checkpoint: dict[str, Tensor]
    clap: dict[str, Tensor]


def read_published(weights: Path) -> Published:
    """The pair in a folder, with our reader, which runs nothing that a file may hold: laion-clap's own unpickles all.

    To be called before `prepare`: afterwards `model` is the authors'.
    """
    from model.safe_pickle import read_tensors

    checkpoint, clap = (read_tensors(weights / name) for name in (CHECKPOINT, CLAP))
    for name in [name for name in sys.modules if name.partition(".")[0] == "model"]:
        del sys.modules[name]
    clap = {name.removeprefix("module."): tensor for name, tensor in clap.items()}
    clap.pop("text_branch.embeddings.position_ids", None)  # as laion-clap does: transformers has it as a constant
    return Published(checkpoint, clap)


class AuthorsCLAPSep:
    """Their network with weights loaded, ready for inference on one device."""

    def __init__(self, authors: Path, published: Published, device: str, *, merge_lora: bool = True) -> None:
        import laion_clap
        from model.CLAPSep import LightningModule  # type: ignore[import-not-found]
        from model.CLAPSep_decoder import HTSAT_Decoder  # type: ignore[import-not-found]
        from torchaudio.transforms import Resample

        config = json.loads((authors / CONFIG).read_text())
        clap = laion_clap.CLAP_Module(enable_fusion=False, amodel="HTSAT-base", device="cpu")
        clap.model.load_state_dict(published.clap)
        decoder, rank, n_fft = HTSAT_Decoder(**config["model"]), config["lora_rank"], config["nfft"]
        self.network: Any = LightningModule(clap, decoder, lr=1e-4, use_lora=True, rank=rank, nfft=n_fft)
        # Their augmentation of audio queries belongs to no module, so eval() does not reach it: embeddings of sounds
        # would be random.
        clap.model.audio_branch.bn0._forward_hooks.clear()
        if merge_lora:
            for layer in self.network.audio_branch.modules():
                if hasattr(layer, "lora_A"):
                    layer.merge_weights = True
        unexpected = self.network.load_state_dict(published.checkpoint, strict=False).unexpected_keys
        if unexpected:
            raise SystemExit(f"{CHECKPOINT} has tensors that their network lacks: {unexpected[:3]} ...")
        self.network.eval().to(device)  # only now: merged before loading, LoRA would be that of the initialisation
        self.resample = Resample(SAMPLE_RATE, 48_000).to(device)
        self.clap = clap
        self.device = device

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Tensor[Q, 512], unit length."""
        embedding: Tensor = self.clap.get_text_embedding(list(texts), use_tensor=True)
        return embedding

    @torch.no_grad()
    def embed_sounds(self, sounds: Tensor) -> Tensor:
        """Tensor[Q, 512], unit length, of `sounds` [Q, T] at 48 kHz."""
        embedding: Tensor = self.clap.get_audio_embedding_from_data(sounds.to(self.device), use_tensor=True)
        return embedding

    @torch.no_grad()
    def separate(self, mixture: Tensor, positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
        """Stem [1, T] and mask [1, 1, N, F] of one window `mixture` [1, T] and its condition, two times [1, 512]."""
        from torchlibrosa.stft import magphase

        network, features = self.network, self.network.features
        magnitude, cosine, sine = magphase(*network.stft(mixture))
        del features[:]  # hooks append what the encoder passes on
        features.append(magnitude)
        network.audio_branch({"waveform": self.resample(mixture)})
        condition = functional.normalize(torch.cat([positive, negative], dim=-1), dim=-1)
        mask = network.decoder_model(hidden_state=features[-1], skip_features=features[:-1], embed=condition)
        stem = network.wav_reconstruct(mask, magnitude, cosine, sine, length=mixture.shape[-1])
        del features[:]
        return stem, mask

    @torch.no_grad()
    def extract(self, file: Path, positive: str, negative: str, seconds: float | None) -> Array:
        """One query over a whole file, with all that the published script does for it, decoding included."""
        import librosa

        embeddings = self.embed_texts([positive, negative])
        rows = [
            row if text else torch.zeros_like(row)
            for text, row in zip((positive, negative), embeddings.split(1), strict=True)
        ]
        samples, _ = librosa.load(file, sr=SAMPLE_RATE, duration=seconds)
        mixture = torch.from_numpy(np.pad(samples, (0, -len(samples) % WINDOW))).to(self.device)
        peak = mixture.abs().max()
        if peak > 1:
            mixture *= 0.9 / peak
        stems = [self.separate(window[None], *rows)[0] for window in mixture.split(WINDOW)]
        return np.asarray(torch.cat(stems, dim=1).cpu().squeeze().numpy())


def separate(authors: AuthorsCLAPSep, given: dict[str, Array]) -> dict[str, Array]:
    """Stems and masks of `mixtures` float32[K, T]; `embed`'s results as well where there are texts or sounds.

    `positive` and `negative` are embeddings [K, 512], or integers [K] that count texts, then sounds; -1 is no query.
    """
    made = embed(authors, given)
    table = np.concatenate([*made.values(), np.zeros((1, 512), np.float32)])
    halves = [rows if rows.ndim == 2 else table[rows] for rows in (given["positive"], given["negative"])]
    stems, masks = [], []
    for mixture, *condition in zip(given["mixtures"], *halves, strict=True):
        rows = [torch.from_numpy(row)[None].to(authors.device) for row in (mixture, *condition)]
        stem, mask = authors.separate(*rows)
        stems.append(stem[0].cpu().numpy())
        masks.append(mask[0, 0].cpu().numpy())
    return {"waveforms": np.stack(stems), "masks": np.stack(masks), **made}


def embed(authors: AuthorsCLAPSep, given: dict[str, Array]) -> dict[str, Array]:
    """Embeddings float32[Q, 512] of `texts` str[Q] and of `sounds` float32[Q, T] at 48 kHz, of either or both."""
    made = {}
    if "texts" in given:
        made["texts"] = authors.embed_texts(given["texts"].tolist()).cpu().numpy()
    if "sounds" in given:
        made["sounds"] = authors.embed_sounds(torch.from_numpy(given["sounds"])).cpu().numpy()
    return made


def loop(
    authors: AuthorsCLAPSep, file: Path, queries: Sequence[str], seconds: float | None
) -> dict[str, float | int | str]:
    """Time of `extract` for one query after the other; `POSITIVE|NEGATIVE` gives one both."""
    import librosa

    length = librosa.get_duration(path=file)
    audio_seconds = length if seconds is None else min(seconds, length)
    loaded = psutil.Process().memory_info().rss
    began, busy = time.perf_counter(), time.process_time()
    for query in queries:
        positive, _, negative = query.partition("|")
        authors.extract(file, positive.strip(), negative.strip(), seconds)
    elapsed, busy = time.perf_counter() - began, time.process_time() - busy
    report: dict[str, float | int | str] = {
        "seconds": elapsed,
        "cpu_seconds": busy,  # of all threads: on a shared machine this is what can be compared
        "audio_seconds": audio_seconds,
        "queries": len(queries),
        "audio_seconds_x_queries_per_second": audio_seconds * len(queries) / elapsed,
        "loaded_rss_bytes": loaded,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,  # of Linux: KiB
        "device": authors.device,
        "threads": torch.get_num_threads(),
    }
    if authors.device != "cpu":
        report["peak_device_bytes"] = torch.cuda.max_memory_allocated()
    return report


def main() -> None:
    """Run one of the three; `loop` prints JSON."""
    parser = argparse.ArgumentParser(description="The authors' CLAPSep.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("separate", "embed", "loop"):
        command = commands.add_parser(name)
        command.add_argument("input", type=Path)
        if name == "loop":
            command.add_argument("--query", action="append", required=True, help="POSITIVE or POSITIVE|NEGATIVE")
            command.add_argument("--limit-seconds", type=float, help="only the first part of the file")
        else:
            command.add_argument("output", type=Path)
        command.add_argument("--authors", type=Path, required=True, help="a checkout of Aisaka0v0/CLAPSep")
        command.add_argument("--weights", type=Path, required=True, help="folder of the pair and of tokenizer/")
        command.add_argument("--site", type=Path, help="folder with loralib, einops, torchaudio, if not installed")
        command.add_argument("--device", default="cpu")
        command.add_argument("--threads", type=int, default=torch.get_num_threads())
        command.add_argument("--lora", choices=("merged", "beside"), default="merged", help="beside: as in training")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    checkout = arguments.authors.resolve()
    with contextlib.redirect_stdout(sys.stderr):  # laion-clap tells its story there
        published = read_published(arguments.weights)
        prepare(checkout, arguments.site, arguments.weights / "tokenizer")
        merge = arguments.lora == "merged"
        authors = AuthorsCLAPSep(checkout, published, arguments.device, merge_lora=merge)
        del published  # the files need not stay mapped
    if arguments.command == "loop":
        print(json.dumps(loop(authors, arguments.input, arguments.query, arguments.limit_seconds)))
        return
    with np.load(arguments.input) as file:
        given = dict(file)
    np.savez(arguments.output, **(separate if arguments.command == "separate" else embed)(authors, given))


if __name__ == "__main__":
    main()
