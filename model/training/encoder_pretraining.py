"""A mixture encoder that has learned to meet captions before it learns to separate: CLAPSep's idea, at any size.

    vector = normalize( MLP( mean and maximum of the encoder's coarsest map, as the decoder sees it ) )
    loss   = CLIP's symmetric loss against the text tower, which is not trained

CLAPSep takes its encoder, HTSAT, out of a trained CLAP; here the encoder of a network is trained the same way where it
stands, and the head is thrown away.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.clapsep import CLAPSep
from model.compact_clapsep import CompactCLAPSep
from model.separator import MaskNetwork
from model.towers import Towers
from model.training.examples import Examples
from model.training.query_texts import TextQueries
from model.weights_file import CheckpointError, read_header, read_tensors, shapes_of, write_weights

KIND: Final = "mixture_encoder"
AUDIO_TOWER: Final = "audio_branch."


def encoder_parts(network: MaskNetwork) -> nn.ModuleDict:
    """The parts of a network that hear the mixture and know no query, by name.

    Raises ValueError for a network in which they are not parts of their own.
    """
    if isinstance(network, CompactCLAPSep):
        return nn.ModuleDict({"band_norm": network.band_norm, "encoder": network.encoder})
    if isinstance(network, CLAPSep):
        return nn.ModuleDict({"encoder": network.encoder})
    raise ValueError(f"the mixture encoder of {type(network).__name__} is no part of its own; train the whole network")


class EncoderTower(nn.Module):
    """The encoder of `network` with a head that embeds what it hears; `examples` give the width of its coarsest map."""

    def __init__(self, network: MaskNetwork, width: int, embedding: int) -> None:
        super().__init__()
        self.network = network
        self.head = nn.Sequential(nn.Linear(2 * width, 2 * embedding), nn.SiLU(), nn.Linear(2 * embedding, embedding))
        self.scale = nn.Parameter(torch.tensor(2.5))
        """Logarithm of what cosines are multiplied with."""

    def forward(self, mixture: Tensor) -> Tensor:
        """Unit vectors [B, D] of sounds [B, T]."""
        coarse = self.network.encode(mixture).maps[0].float()  # (B, H, W, d)
        pooled = torch.cat([coarse.mean(dim=(1, 2)), coarse.amax(dim=(1, 2))], dim=-1)
        return functional.normalize(self.head(pooled), dim=-1)


class EncoderObjective:
    """`objective(examples, generator)`: every single sound of the examples against every caption of theirs.

    Equal captions share the target. "hit": share of the captions whose nearest sound is one of theirs.
    """

    def __init__(self, tower: EncoderTower, text: TextQueries) -> None:
        self.tower, self.text = tower, text

    def __call__(self, examples: Examples, generator: torch.Generator) -> dict[str, Tensor]:
        words = self.text(examples, generator).flatten(0, 1)  # (Q, D)
        captions = [caption for row in examples.captions for caption in row]
        same = torch.tensor([[one == other for other in captions] for one in captions], device=words.device).float()
        heard = self.tower(examples.sounds.flatten(0, 1))  # (Q, D)
        logits = words @ heard.T * self.tower.scale.exp().clamp(max=100.0)
        target = same / same.sum(dim=1, keepdim=True)
        loss = (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2
        return {"loss": loss, "hit": same.gather(1, logits.argmax(1, keepdim=True)).mean()}


def take_from_towers(network: MaskNetwork, towers: Towers) -> None:
    """Give a network the audio tower of `towers` as its encoder, as in CLAPSep. Raises ValueError where they differ."""
    encoder = encoder_parts(network)["encoder"]
    theirs = {name.removeprefix(AUDIO_TOWER): value for name, value in towers.state_dict().items()}
    own = encoder.state_dict()
    if any(name not in theirs or theirs[name].shape != value.shape for name, value in own.items()):
        raise ValueError(
            f"the audio tower of {type(towers).__name__} is not of the make of this {type(network).__name__}'s "
            "encoder; clapsep with towers of the same size takes it, others can be given a pretrained encoder file"
        )
    encoder.load_state_dict({name: theirs[name] for name in own})


def save_encoder(path: Path, network: MaskNetwork, provenance: dict[str, object]) -> None:
    """Write a network's encoder to a file."""
    parts = encoder_parts(network)
    write_weights(path, parts.state_dict(), {"kind": KIND, "network": type(network).__name__, "provenance": provenance})


def load_encoder(network: MaskNetwork, path: Path) -> None:
    """Give a network the encoder in a file. Raises FileNotFoundError, or CheckpointError for one that does not fit."""
    header, shapes = read_header(path)
    parts = encoder_parts(network)
    expected = {name.removeprefix("parts."): shape for name, shape in shapes_of(parts=parts).items()}
    if header.get("kind") != KIND or shapes != expected:
        raise CheckpointError(
            f"{path} holds {header.get('kind') or 'a model'} of {header.get('network')}, and none that fits this "
            f"{type(network).__name__}; pretrain one of the same configuration"
        )
    parts.load_state_dict(read_tensors(path, shapes))
