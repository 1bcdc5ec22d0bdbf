"""One file per model: both CLAP towers, the separator, their configuration, and where it all came from.

Two kinds: the compact separator with towers of its own, and CLAPSep with the towers of laion-clap, which names a model
of the first kind that tells presence for it. Weights are used in single precision.
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
from torch import Tensor

from model.clap import Clap, ClapConfig
from model.clapsep import CLAPSep, CLAPSepConfig
from model.compact_clapsep import CompactCLAPSep, CompactCLAPSepConfig
from model.digest import sha256_of
from model.gated import GatedSeparator
from model.laion_towers import LaionClap, LaionClapConfig, text_shapes
from model.separator import Separator
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
PUBLISHED: Final = "clapsep"
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
    path: Path, *, separator: CompactCLAPSep, clap: Clap, calibration: Calibration, provenance: dict[str, Any]
) -> None:
    """Write a compact model to one file, in half precision. Same weights and provenance, same bytes."""
    tensors = {f"separator.{key}": value for key, value in separator.state_dict().items()}
    tensors |= {f"clap.{key}": value for key, value in clap.state_dict().items()}
    header = {
        "network": COMPACT,
        "separator": asdict(separator.config),
        "clap": asdict(clap.config),
        "calibration": asdict(calibration),
        "provenance": provenance,
    }
    halves = {key: value.half() if value.dtype == torch.float32 else value for key, value in tensors.items()}
    write_weights(path, halves, header)


def save_published(
    path: Path, *, separator: CLAPSep, clap: LaionClap, tokenizer: str, gate: str, provenance: dict[str, Any]
) -> None:
    """Write a CLAPSep with both towers of laion-clap to one file, in single precision.

    `gate`: name of the model that tells presence for it.
    """
    tensors = {f"separator.{key}": value for key, value in separator.state_dict().items()}
    tensors |= {f"clap.{key}": value for key, value in clap.state_dict().items()}
    tensors[TOKENIZER] = torch.frombuffer(bytearray(tokenizer.encode()), dtype=torch.uint8)
    header = {
        "network": PUBLISHED,
        "separator": asdict(separator.config),
        "clap": asdict(clap.config),
        "gate": gate,
        "provenance": provenance,
    }
    write_weights(path, tensors, header)


def load_checkpoint(path: Path, *, name: str | None = None, gate: Callable[[str], Model] | None = None) -> Model:
    """The model in a file, on the CPU, in eval mode and single precision.

    `gate` finds the model that tells presence for one that cannot. Raises FileNotFoundError, or CheckpointError for a
    file that is cut off, is not ours, or lacks, adds or misshapes a tensor.
    """
    header, shapes = read_header(path)
    network = header.get("network", COMPACT)
    name = name or path.stem
    try:
        if network == COMPACT:
            return _compact(path, name, header, shapes)
        if network == PUBLISHED:
            if gate is None:
                raise CheckpointError(
                    f"{path} holds a network that cannot tell presence, where one is needed that can; load it by its "
                    "name or path with model.registry.load_model"
                )
            return _published(path, name, header, shapes, gate)
    except CheckpointError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:  # what a header may say
        raise CheckpointError(
            f"{path}: its configuration is not one of this version ({error!r}); export it again"
        ) from error
    raise CheckpointError(f"{path} holds a network of the kind {network!r}, which cannot be used here")


def signature_of(path: Path, name: str, gate: str | None = None) -> str:
    """The signature of the model in a file; `gate` is that of the model that tells presence for it."""
    digest = sha256_of(path)
    if gate is not None:
        digest = hashlib.sha256(f"{digest} {gate}".encode()).hexdigest()
    return f"{name}-{digest[:16]}"


def _compact(path: Path, name: str, header: Mapping[str, Any], shapes: Shapes) -> Model:
    separator = CompactCLAPSep(_config(CompactCLAPSepConfig, header["separator"]))
    clap = Clap(_config(ClapConfig, header["clap"]))
    calibration, provenance = Calibration(**header["calibration"]), dict(header["provenance"])
    refuse_others(path, shapes, shapes_of(separator=separator, clap=clap))
    fill(separator, path, "separator.")
    fill(clap, path, "clap.")
    return Model(
        name=name,
        separator=separator.eval().to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        clap=clap.eval(),
        calibration=calibration,
        provenance=provenance,
        signature=signature_of(path, name),
    )


def _published(path: Path, name: str, header: Mapping[str, Any], shapes: Shapes, gate: Callable[[str], Model]) -> Model:
    if TOKENIZER not in shapes:
        raise CheckpointError(f"{path} lacks {TOKENIZER}; import the published files again")
    clap_config = _config(LaionClapConfig, header["clap"])
    text = {f"clap.{name}": shape for name, shape in text_shapes(clap_config).items()}
    tokenizer = bytes(read_tensors(path, [TOKENIZER])[TOKENIZER].numpy()).decode()
    clap = LaionClap(clap_config, tokenizer, text_weights=text_reader(path, text))
    separator = CLAPSep(_config(CLAPSepConfig, header["separator"]))
    refuse_others(path, shapes, {TOKENIZER: shapes[TOKENIZER], **text, **shapes_of(separator=separator, clap=clap)})
    fill(separator, path, "separator.")
    fill(clap, path, "clap.")
    listener = gate(header["gate"])
    return Model(
        name=name,
        separator=GatedSeparator(separator, listener.separator).eval(),
        clap=clap.eval(),
        calibration=listener.calibration,
        provenance={**header["provenance"], "gate": listener.signature},
        signature=signature_of(path, name, listener.signature),
        gate_clap=listener.clap,
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
