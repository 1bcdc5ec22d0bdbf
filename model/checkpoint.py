"""One file per model: both CLAP towers, the separator, their configuration, and where it all came from.

Any network goes with any towers: the compact separator, CLAPSep or the conditional U-Net, with the compact towers or
those of laion-clap. A network that cannot tell presence names a model that tells it. What is compact is kept in half
precision, the rest in single; weights are used in single.
"""

from __future__ import annotations

import dataclasses
import hashlib
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn

from model.clap import Clap, ClapConfig
from model.clapsep import CLAPSep, CLAPSepConfig
from model.compact_clapsep import CompactCLAPSep, CompactCLAPSepConfig
from model.conditional_unet import ConditionalUNet, ConditionalUNetConfig
from model.digest import sha256_of
from model.gated import GatedSeparator
from model.laion_towers import LaionClap, LaionClapConfig, text_shapes
from model.separator import MaskNetwork, Separator
from model.towers import Towers
from model.weights_file import (
    CheckpointError,
    Shapes,
    fill,
    read_header,
    read_tensors,
    refuse_others,
    shapes_of,
    write_weights,
)

COMPACT: Final = "compact_clapsep"
NETWORKS: Final[dict[str, tuple[type[MaskNetwork], type]]] = {
    COMPACT: (CompactCLAPSep, CompactCLAPSepConfig),
    "clapsep": (CLAPSep, CLAPSepConfig),
    "conditional_unet": (ConditionalUNet, ConditionalUNetConfig),
}
"""Kinds of networks, with their configurations."""
TOWERS: Final[dict[str, type[Towers]]] = {"clap": Clap, "laion_clap": LaionClap}
USUAL_TOWERS: Final = {COMPACT: "clap", "clapsep": "laion_clap", "conditional_unet": "laion_clap"}
"""A header names the kind of its towers where it is another one."""
TOKENIZER: Final = "tokenizer.json"
"""The tensor of bytes that holds the text of the tokenizer."""

Config = TypeVar("Config")


@dataclass(frozen=True)
class Calibration:
    """What the development data say about presence: default threshold of the gate, and of events."""

    presence_threshold: float = 0.5
    event_threshold: float = 0.5


@dataclass(frozen=True)
class Model:
    """A separator with the towers that understand its queries."""

    name: str
    separator: Separator
    clap: Towers
    calibration: Calibration
    provenance: dict[str, Any]
    signature: str
    """Name and hash of the file's bytes, and of the gate's: two datasets of one signature were made by the same weights
    and configuration."""
    gate_clap: Towers | None = None
    """The towers of the network that tells presence, where that is another one."""


def save_checkpoint(
    path: Path,
    *,
    separator: MaskNetwork,
    clap: Towers,
    provenance: dict[str, Any],
    calibration: Calibration | None = None,
    gate: str | None = None,
) -> None:
    """Write a network and the towers it was trained with to one file. Same weights and provenance, same bytes.

    `gate`: name or path of the model that tells presence, which a network that cannot needs; `calibration`: None for
    that of the gate. Raises ValueError for a network without its gate, with adapters that are not merged, or for
    vectors of another width than the towers make.
    """
    network, towers = _kind(separator, {kind: of for kind, (of, _) in NETWORKS.items()}), _kind(clap, TOWERS)
    if gate is None and not isinstance(separator, Separator):
        raise ValueError(f"a {network} cannot tell where a query sounds; name a gate that can, such as mini")
    settings = _settings(separator)
    if settings["embedding"] != clap.width:
        raise ValueError(
            f"the network reads vectors of width {settings['embedding']}, but these towers make {clap.width}; give the "
            "towers it was trained with"
        )
    header: dict[str, Any] = {
        "network": network,
        "separator": settings,
        "clap": _settings(clap),
        "provenance": provenance,
    }
    if towers != USUAL_TOWERS[network]:
        header["towers"] = towers
    if gate is not None:
        header["gate"] = gate
    if calibration is not None or gate is None:
        header["calibration"] = asdict(calibration or Calibration())
    tensors = _tensors("separator", separator, halved=network == COMPACT)
    if isinstance(clap, LaionClap):
        clap.build_text()
        tensors[TOKENIZER] = torch.frombuffer(bytearray(clap.tokenizer.encode()), dtype=torch.uint8)
    tensors |= _tensors("clap", clap, halved=isinstance(clap, Clap))
    write_weights(path, tensors, header)


def load_checkpoint(path: Path, *, name: str | None = None, gate: Callable[[str], Model] | None = None) -> Model:
    """The model in a file, on the CPU, in eval mode and single precision.

    `gate` finds the model that tells presence for one that cannot. Raises FileNotFoundError, or CheckpointError for a
    file that is cut off, is not ours, or lacks, adds or misshapes a tensor.
    """
    header, shapes = read_header(path)
    network = header.get("network", COMPACT)
    if network not in NETWORKS:
        raise CheckpointError(f"{path} holds a network of the kind {network!r}, which cannot be used here")
    if gate is None and (network != COMPACT or "gate" in header):
        raise CheckpointError(
            f"{path} holds a network that cannot tell presence, where one is needed that can; load it by its "
            "name or path with model.registry.load_model"
        )
    try:
        return _load(path, name or path.stem, network, header, shapes, gate)
    except CheckpointError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:  # what a header may say
        raise CheckpointError(
            f"{path}: its configuration is not one of this version ({error!r}); export it again"
        ) from error


def signature_of(path: Path, name: str, gate: str | None = None) -> str:
    """The signature of the model in a file; `gate` is that of the model that tells presence for it."""
    digest = sha256_of(path)
    if gate is not None:
        digest = hashlib.sha256(f"{digest} {gate}".encode()).hexdigest()
    return f"{name}-{digest[:16]}"


def _load(
    path: Path,
    name: str,
    network: str,
    header: Mapping[str, Any],
    shapes: Shapes,
    gate: Callable[[str], Model] | None,
) -> Model:
    build, config = NETWORKS[network]
    separator = build(_config(config, header["separator"]))
    clap, besides = _towers(path, header.get("towers", USUAL_TOWERS[network]), header["clap"], shapes)
    refuse_others(path, shapes, {**besides, **shapes_of(separator=separator, clap=clap)})
    fill(separator, path, "separator.")
    fill(clap, path, "clap.")
    if isinstance(separator, ConditionalUNet) and separator.config.token_width != separator.config.embedding:
        raise CheckpointError(
            f"{path} holds a network that reads a query word by word (tokens of width {separator.config.token_width}), "
            f"and queries are whole vectors here; train one with token_width = {separator.config.embedding}"
        )
    separator.eval()
    if isinstance(separator, CompactCLAPSep):
        separator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    calibration, provenance = header.get("calibration"), dict(header["provenance"])
    if isinstance(separator, Separator) and "gate" not in header:
        return Model(
            name=name,
            separator=separator,
            clap=clap.eval(),
            calibration=Calibration(**header["calibration"]),
            provenance=provenance,
            signature=signature_of(path, name),
        )
    assert gate is not None
    listener = gate(header["gate"])
    return Model(
        name=name,
        separator=GatedSeparator(separator, listener.separator).eval(),
        clap=clap.eval(),
        calibration=listener.calibration if calibration is None else Calibration(**calibration),
        provenance={**provenance, "gate": listener.signature},
        signature=signature_of(path, name, listener.signature),
        gate_clap=listener.clap,
    )


def _towers(path: Path, kind: str, config: Mapping[str, Any], shapes: Shapes) -> tuple[Towers, Shapes]:
    """Towers yet to be filled, and the tensors that the file holds for them besides those they have."""
    if kind == "clap":
        return Clap(_config(ClapConfig, config)), {}
    if kind not in TOWERS:
        raise CheckpointError(f"{path} holds towers of the kind {kind!r}, which cannot be used here")
    if TOKENIZER not in shapes:
        raise CheckpointError(f"{path} lacks {TOKENIZER}; import the published files again")
    laion = _config(LaionClapConfig, config)
    text = {f"clap.{name}": shape for name, shape in text_shapes(laion).items()}
    tokenizer = bytes(read_tensors(path, [TOKENIZER])[TOKENIZER].numpy()).decode()
    return LaionClap(laion, tokenizer, text_reader(path, text)), {TOKENIZER: shapes[TOKENIZER], **text}


def _tensors(prefix: str, module: nn.Module, *, halved: bool) -> dict[str, Tensor]:
    state = module.state_dict()
    adapters = [name for name in state if name.endswith(".lora_A")]
    if adapters:
        raise ValueError(f"{prefix} has {len(adapters)} adapters ({adapters[0]}, ...); merge them before it is saved")
    return {
        f"{prefix}.{name}": value.half() if halved and value.dtype == torch.float32 else value
        for name, value in state.items()
    }


def _settings(module: Any) -> dict[str, Any]:
    return asdict(module.config)


def _kind(module: nn.Module, kinds: Mapping[str, type]) -> str:
    for kind, of in kinds.items():
        if isinstance(module, of):
            return kind
    raise ValueError(
        f"a checkpoint holds {', '.join(kinds)}, got a {type(module).__name__}; of a gated separator give the network, "
        "and its gate by name"
    )


def text_reader(path: Path, names: Iterable[str]) -> Callable[[], dict[str, Tensor]]:
    """What reads the text tower of a file when it is wanted. Raises CheckpointError if the file is another by then."""
    before = _identity(path)

    def read() -> dict[str, Tensor]:
        if _identity(path) != before:
            raise CheckpointError(f"{path} has changed since the model was loaded from it; start again")
        return read_tensors(path, names, "clap.")

    return read


def _identity(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _config(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """A frozen configuration of what JSON keeps of it: tuples are lists there, nested ones mappings."""
    hints = typing.get_type_hints(kind)
    restored = {
        key: _config(hints[key], value)
        if dataclasses.is_dataclass(hints.get(key))
        else tuple(value) if isinstance(value, list) else value
        for key, value in values.items()
    }  # fmt: skip
    return kind(**restored)
