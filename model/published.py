"""The published CLAPSep, two files, read into the state dicts of `CLAPSep` and `LaionClap`.

    checkpoint   what the authors trained: the decoder, LoRA in the mixture encoder, the biases beside it
    clap         laion-clap's towers; the mixture encoder is a copy of its audio tower, frozen but for the LoRA:

    encoder W  =  W + B A / r          r is the rank (16 in the published one), LoRA's alpha is 1

Names and shapes follow from those of our networks, so every tensor is accounted for: one that is missing, unknown or of
another shape is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from model.digest import sha256_of
from model.low_rank import merged_weight
from model.published_layout import (
    LORA,
    Shapes,
    checkpoint_layout,
    clap_layout,
    is_unused,
    of_clap,
    of_decoder,
    shapes_of,
)
from model.registry import CLAPSEP_CHECKPOINT, CLAPSEP_CLAP, KnownFile
from model.safe_pickle import read_tensors
from model.weights_file import CheckpointError

PUBLISHED_RANK: Final = 16


@dataclass(frozen=True)
class PublishedWeights:
    """State dicts in single precision. Tensors may still lie in the files they came from: copy them before use."""

    separator: dict[str, Tensor]
    clap: dict[str, Tensor]


def read_published(
    checkpoint: Path, clap: Path, *, separator_shapes: Shapes, clap_shapes: Shapes, verify: bool = True
) -> PublishedWeights:
    """Weights for networks whose state dicts have these shapes (`shapes_of` tells them).

    With `verify` only the published files will do, by their sha256. Without it a checkpoint that was trained with the
    authors' code is taken as well; what it repeats of the CLAP file (their trainer stores everything) must be the same
    there. Raises FileNotFoundError, or CheckpointError that names the file and what is wrong with it.
    """
    if verify:
        _verify(checkpoint, CLAPSEP_CHECKPOINT)
        _verify(clap, CLAPSEP_CLAP)
    towers = {name.removeprefix("module."): value for name, value in read_tensors(clap).items()}
    trained = read_tensors(checkpoint)
    needed = clap_layout(separator_shapes, clap_shapes)
    _account(clap, towers, needed, {name: shape for name, shape in shapes_of(towers).items() if is_unused(name)})
    rank = next((value.shape[0] for name, value in trained.items() if name.endswith(".lora_A")), PUBLISHED_RANK)
    layout = checkpoint_layout(separator_shapes, rank)
    repeated = {name: of_clap(name) for name in trained if name not in layout.required and of_clap(name) in towers}
    unused = {name: tuple(trained[name].shape) for name in trained if is_unused(of_clap(name))}
    allowed = layout.constants | unused | {name: tuple(towers[source].shape) for name, source in repeated.items()}
    _account(checkpoint, trained, layout.required, allowed)
    if not verify:
        _refuse_other_towers(checkpoint, clap, {name: (trained[name], towers[of_clap(name)]) for name in repeated})
    # The authors' loading puts what a checkpoint repeats of the towers over that of the CLAP file.
    towers |= {source: trained[name] for name, source in repeated.items() if name.startswith("clap_model.")}
    _refuse_broken(checkpoint, {name: trained[name] for name in layout.required})
    _refuse_broken(clap, {name: towers[name] for name in needed})
    return PublishedWeights(
        separator={name: _separator_tensor(name, trained, towers) for name in separator_shapes},
        clap={name: _single(towers[name]) for name in clap_shapes},
    )


def _separator_tensor(name: str, trained: Mapping[str, Tensor], towers: Mapping[str, Tensor]) -> Tensor:
    if name.startswith("decoder."):
        return _single(trained[of_decoder(name)])
    if not (adapted := LORA.fullmatch(name)):
        return _single(towers[name.replace("encoder.", "audio_branch.", 1)])
    layer, kind = adapted.group(1).replace("encoder.", "audio_branch.", 1), adapted.group(2)
    if kind == "bias":
        return trained[f"{layer}.bias"].float()
    return merged_weight(towers[f"{layer}.weight"], trained[f"{layer}.lora_A"], trained[f"{layer}.lora_B"])


def _single(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _verify(path: Path, known: KnownFile) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; check the path")
    size_bytes = path.stat().st_size
    if size_bytes != known.size_bytes:
        raise CheckpointError(
            f"{path} has {size_bytes:,} bytes, the published {known.name} {known.size_bytes:,}: it is cut off, or "
            "another file. Fetch it again, or give --unverified for weights you trained yourself"
        )
    if (found := sha256_of(path)) != known.sha256:
        raise CheckpointError(
            f"{path} is not the published {known.name}: its sha256 is {found}, expected {known.sha256}. Fetch it "
            "again, or give --unverified for weights you trained yourself"
        )


def _account(path: Path, tensors: Mapping[str, Tensor], required: Shapes, allowed: Shapes) -> None:
    missing = [name for name in required if name not in tensors]
    known = {**allowed, **required}
    unknown = [name for name in tensors if name not in known]
    found = {name: shape for name, shape in shapes_of(tensors).items() if shape != known.get(name, shape)}
    misshapen = [f"{name} {shape} instead of {known[name]}" for name, shape in found.items()]
    wrongs = {"are missing": missing, "are unknown": unknown, "have another shape": misshapen}
    told = [f"{len(names)} {wrong} ({_first(names)})" for wrong, names in wrongs.items() if names]
    if told:
        raise CheckpointError(f"{path} is not of CLAPSep's layout: of its tensors {', '.join(told)}")


def _refuse_other_towers(checkpoint: Path, clap: Path, pairs: Mapping[str, tuple[Tensor, Tensor]]) -> None:
    differ = [name for name, (ours, theirs) in pairs.items() if not torch.equal(ours.float(), theirs.float())]
    if differ:
        raise CheckpointError(
            f"{checkpoint} and {clap} do not belong together: {len(differ)} tensors that both hold differ "
            f"({_first(differ)}). Give the CLAP file it was trained with, and a checkpoint whose LoRA is not merged yet"
        )


def _refuse_broken(path: Path, tensors: Mapping[str, Tensor]) -> None:
    broken = [name for name, v in tensors.items() if not bool(v.isfinite().all())]
    if broken:
        raise CheckpointError(f"{path}: {len(broken)} tensors hold numbers that are not finite ({_first(broken)})")


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
