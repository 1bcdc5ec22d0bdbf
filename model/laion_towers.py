"""The towers of the published CLAP: sentences (RoBERTa) and sounds (HTSAT of laion-clap) in one space of unit vectors.

Tensors are named as in the published checkpoints, less `module.`: `audio_branch.*`, `audio_projection.*`,
`text_branch.*`, `text_projection.*`. Both towers are frozen and always in eval mode; gradients pass through to the
sound. Nothing is downloaded or read: weights and tokenizer are handed in.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from model.laion_htsat import FRONT_END, SAMPLE_RATE, WINDOW_SAMPLES, build_htsat
from model.packed_linear import can_pack, pack_linears
from model.roberta_tokenizer import PAD, RobertaTokenizer
from model.towers import Towers

POSITIONS: Final = 514
"""Rows of RoBERTa's table of positions; those of 77 tokens are used."""
TEXT_BATCH: Final = 32
"""Sentences embedded together, sorted by length: padded to the longest of them, which takes a quarter of the time that
padding to 77 takes, as laion-clap does, and gives the same vectors (1e-6)."""
ROWS: Final = 1024
"""About as many as the layers of HTSAT see of one sound."""
_LOCK: Final = threading.Lock()


@dataclass(frozen=True)
class LaionClapConfig:
    """Shape of the two towers; the defaults are those of the published HTSAT-base and RoBERTa-base."""

    width: int = 128
    depths: tuple[int, ...] = (2, 2, 12, 2)
    heads: tuple[int, ...] = (4, 8, 16, 32)
    vocabulary: int = 50_265
    text_width: int = 768
    text_layers: int = 12
    text_heads: int = 12
    embedding: int = 512

    def __post_init__(self) -> None:
        if len(self.depths) != 4 or len(self.heads) != 4:
            raise ValueError(f"HTSAT has four levels, got {self.depths = } and {self.heads = }")


def text_tower(config: LaionClapConfig) -> nn.ModuleDict:
    """A random text tower, of `text_branch` and `text_projection`.

    Under `torch.device("meta")` it takes no memory: its state dict tells names and shapes.
    """
    from transformers import RobertaConfig, RobertaModel

    shape = RobertaConfig(  # type: ignore[no-untyped-call]
        vocab_size=config.vocabulary,
        hidden_size=config.text_width,
        num_hidden_layers=config.text_layers,
        num_attention_heads=config.text_heads,
        intermediate_size=4 * config.text_width,
        max_position_embeddings=POSITIONS,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        pad_token_id=PAD,
    )
    branch = RobertaModel(shape)  # type: ignore[no-untyped-call]
    projection = _projection(config.text_width, config.embedding)
    return nn.ModuleDict({"text_branch": branch, "text_projection": projection}).requires_grad_(False).eval()


def text_shapes(config: LaionClapConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of `text_tower`, without the seconds that transformers takes to be imported."""
    width, inner = config.text_width, 4 * config.text_width
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config.vocabulary, width),
        "embeddings.position_embeddings.weight": (POSITIONS, width),
        "embeddings.token_type_embeddings.weight": (1, width),
        **_affine("embeddings.LayerNorm", (width,)),
        **_affine("pooler.dense", (width, width)),
    }
    for layer in range(config.text_layers):
        root = f"encoder.layer.{layer}"
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= _affine(f"{root}.{name}", (width, width))
        shapes |= _affine(f"{root}.attention.output.LayerNorm", (width,))
        shapes |= _affine(f"{root}.intermediate.dense", (inner, width))
        shapes |= _affine(f"{root}.output.dense", (width, inner))
        shapes |= _affine(f"{root}.output.LayerNorm", (width,))
    return {f"text_branch.{name}": shape for name, shape in shapes.items()} | {
        **_affine("text_projection.0", (config.embedding, width)),
        **_affine("text_projection.2", (config.embedding, config.embedding)),
    }


def _affine(name: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def repeat_pad(audio: Tensor) -> Tensor:
    """Sounds [B, T] of at most ten seconds, filled up to ten: repeated as often as they fit whole, then zeros.

    That is what laion-clap calls "repeatpad". Raises ValueError for a longer sound, and for one without samples.
    """
    if audio.ndim != 2:
        raise ValueError(f"sounds are [B, T], got {tuple(audio.shape) = }")
    samples = audio.shape[1]
    if not 0 < samples <= WINDOW_SAMPLES:
        raise ValueError(
            f"a sound of {samples} samples cannot be embedded, only 1 to {WINDOW_SAMPLES} (10 s at {SAMPLE_RATE} Hz); "
            "cut it into windows first"
        )
    whole = audio.repeat(1, WINDOW_SAMPLES // samples)
    return functional.pad(whole, (0, WINDOW_SAMPLES - whole.shape[1]))


def fourier_power(audio: Tensor, window: Tensor) -> Tensor:
    """Power spectra [B, 1, N, F] of sounds [B, T], as laion-clap's convolution gives them."""
    spectrum = torch.stft(
        audio, len(window), FRONT_END["hop_size"], window=window, pad_mode="reflect", return_complex=True
    )
    return spectrum.abs().square().transpose(1, 2)[:, None]


class LaionClap(Towers):
    """Embeds sentences and sounds: `embed_text(list of str) -> [B, D]`, `embed_audio(Tensor[B, T]) -> [B, D]`, unit
    length.

    `tokenizer` is the text of a `tokenizer.json`. With `text_weights` the text tower, 500 MB at the published size,
    does not exist before the first `embed_text`; it then takes what `text_weights()` returns: exactly the tensors
    `text_branch.*` and `text_projection.*`, which it keeps without copying. Until then `state_dict` has the audio tower
    alone. Without `text_weights` both towers are there, random.
    """

    hann: Tensor

    def __init__(
        self,
        config: LaionClapConfig,
        tokenizer: str,
        text_weights: Callable[[], Mapping[str, Tensor]] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.sample_rate, self.width = SAMPLE_RATE, config.embedding
        self.tokenizer = tokenizer
        self._tokenizer = RobertaTokenizer(tokenizer, config.vocabulary)
        self._text_weights = text_weights
        self.audio_branch: Any = build_htsat(config.width, config.depths, config.heads)
        self.audio_projection = _projection(8 * config.width, config.embedding)
        self.register_buffer("hann", torch.hann_window(FRONT_END["window_size"]), persistent=False)
        if text_weights is None:
            self._adopt(text_tower(config))
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode, whatever `mode` says: the towers are a measure, not a thing to train."""
        return super().train(False)

    def build_text(self) -> None:
        """Make the text tower of `text_weights`, unless it is there."""
        with _LOCK, torch.inference_mode(False):
            if self._text_weights is not None:
                tower = text_tower(self.config)
                weights = {name: tensor.float() for name, tensor in self._text_weights().items()}
                tower.load_state_dict(weights, assign=True)
                self._adopt(tower)
                self._text_weights = None

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors [B, D] of sentences, of which the first 75 tokens count. Builds the text tower on first use."""
        self.build_text()
        tokens = self._tokenizer(texts)
        by_length = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        device = self.hann.device
        vectors = torch.empty(len(tokens), self.config.embedding, device=device)
        for start in range(0, len(tokens), TEXT_BATCH):
            rows = by_length[start : start + TEXT_BATCH]
            ids = pad_sequence([torch.tensor(tokens[row]) for row in rows], batch_first=True, padding_value=PAD)
            lengths = torch.tensor([len(tokens[row]) for row in rows])
            mask = torch.arange(ids.shape[1]) < lengths[:, None]  # (B, L)
            states = self.text_branch(input_ids=ids.to(device), attention_mask=mask.long().to(device))
            vectors[rows] = functional.normalize(self.text_projection(states.pooler_output).float(), dim=-1)
        return vectors

    def embed_audio(self, audio: Tensor) -> Tensor:
        """Unit vectors [B, D] of mono sounds [B, T] at 48 kHz, at most ten seconds long (see `repeat_pad`)."""
        htsat = self.audio_branch
        image = self._image(repeat_pad(audio)).to(htsat.patch_embed.proj.weight.dtype)
        features = htsat.forward_features(image)
        # Its other outputs are not wanted; a walk through its layers that leaves them out takes as long (0.24 s).
        return functional.normalize(self.audio_projection(features["embedding"].float()).float(), dim=-1)

    def set_precision(self, dtype: torch.dtype) -> None:
        htsat = self.audio_branch
        for part in (htsat.patch_embed, htsat.layers, htsat.norm, htsat.tscam_conv):
            part.to(dtype)
        if dtype is torch.bfloat16 and self.hann.device.type == "cpu" and can_pack():
            pack_linears(htsat.layers, ROWS)

    def _image(self, audio: Tensor) -> Tensor:
        """Log-mel images [B, 1, 256, 256] of windows, in single precision whatever is around: in bfloat16 the
        log-mel of a sine is off by 51 dB."""
        htsat = self.audio_branch
        with torch.autocast(audio.device.type, enabled=False):
            bands = htsat.logmel_extractor(self._power(audio.float())).transpose(1, 3)  # (B, M, N, 1)
            image: Tensor = htsat.reshape_wav2img(htsat.bn0(bands).transpose(1, 3))
        return image

    def _power(self, audio: Tensor) -> Tensor:
        """Power spectra [B, 1, N, F], on the CPU by the convolution of laion-clap.

        CUDA would run that in TF32, so elsewhere it is an FFT; the rounding of either moves a vector by up to 1e-5.
        """
        if audio.device.type == "cpu":
            power: Tensor = self.audio_branch.spectrogram_extractor(audio)
            return power
        return fourier_power(audio, self.hann)

    def _adopt(self, tower: nn.ModuleDict) -> None:
        tower.to(self.hann.device)
        self.text_branch: Any = tower["text_branch"]
        self.text_projection = tower["text_projection"]


def _projection(width: int, embedding: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, embedding), nn.ReLU(), nn.Linear(embedding, embedding))
