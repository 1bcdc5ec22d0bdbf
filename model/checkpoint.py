"""One safetensors file per model: both CLAP towers, the separator, their configuration, and where it all came from.

The file's metadata holds, as JSON under `soundquarry`, the configurations, the calibration and the provenance.
Nothing is unpickled. Weights are stored in half precision and used in single.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model.clap import Clap, ClapConfig
from model.compact_clapsep import CompactCLAPSep, CompactCLAPSepConfig
from model.separator import Separator
from model.towers import Towers

METADATA_KEY = "soundquarry"
FORMAT_VERSION = 1


class CheckpointError(ValueError):
    """The file is not a checkpoint that can be used; the message names the file and what is wrong with it."""


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
    """Name and hash of the file's bytes: two datasets of one signature were made by the same weights and
    configuration."""
    gate_clap: Towers | None = None
    """The towers of the network that tells presence, where that is another one."""


def save_checkpoint(
    path: Path, *, separator: CompactCLAPSep, clap: Clap, calibration: Calibration, provenance: dict[str, Any]
) -> None:
    """Write a model to one file. Same weights and provenance, same bytes."""
    from safetensors.torch import save_file

    tensors = {f"separator.{k}": v for k, v in separator.state_dict().items()}
    tensors |= {f"clap.{k}": v for k, v in clap.state_dict().items()}
    stored = {k: (v.half() if v.dtype == torch.float32 else v).contiguous() for k, v in tensors.items()}
    header = {
        "format": FORMAT_VERSION,
        "separator": asdict(separator.config),
        "clap": asdict(clap.config),
        "calibration": asdict(calibration),
        "provenance": provenance,
    }
    save_file(stored, path, metadata={METADATA_KEY: json.dumps(header, sort_keys=True)})


def load_checkpoint(path: Path, *, name: str | None = None) -> Model:
    """The model in a file, on the CPU, in eval mode and single precision.

    Raises FileNotFoundError, or CheckpointError for a file that is cut off, is not ours, or lacks, adds or misshapes
    a tensor.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(
            f"no checkpoint at {path}; name a shipped model (see: soundquarry models) or give a path"
        )
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(METADATA_KEY, "null"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file ({error}); fetch or export it again") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} carries no soundquarry header of format {FORMAT_VERSION}; export it with this version"
        )
    try:
        separator = CompactCLAPSep(CompactCLAPSepConfig(**_tuples(header["separator"])))
        clap = Clap(ClapConfig(**_tuples(header["clap"])))
        calibration, provenance = Calibration(**header["calibration"]), dict(header["provenance"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: its configuration is not one of this version ({error!r}); export it again"
        ) from error
    strangers = sorted(key for key in tensors if not key.startswith(("separator.", "clap.")))
    if strangers:
        raise CheckpointError(f"{path} holds unknown tensors {strangers[:3]}; it is of another version")
    _fill(separator, "separator.", tensors, path)
    _fill(clap, "clap.", tensors, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    name = name or path.stem
    return Model(
        name=name,
        separator=separator.eval().to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        clap=clap.eval(),
        calibration=calibration,
        provenance=provenance,
        signature=f"{name}-{digest[:16]}",
    )


def _tuples(config: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}


def _fill(module: nn.Module, prefix: str, tensors: dict[str, torch.Tensor], path: Path) -> None:
    own = module.state_dict()
    given = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    missing, extra = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
    if missing or extra:
        raise CheckpointError(
            f"{path}: {prefix}* lacks {missing[:3]} and has unknown {extra[:3]}; it is of another version"
        )
    for key, value in given.items():
        if value.shape != own[key].shape:
            raise CheckpointError(
                f"{path}: {prefix}{key} has shape {tuple(value.shape)}, expected {tuple(own[key].shape)}"
            )
    module.load_state_dict({k: v.to(own[k].dtype) for k, v in given.items()})
