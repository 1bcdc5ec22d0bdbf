"""Reading and writing safetensors files that say what they hold: named tensors, and a header as JSON in the metadata.

Nothing is unpickled. Every missing, unknown or misshapen tensor is refused by its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from torch import Tensor, nn

METADATA_KEY: Final = "soundquarry"
FORMAT_VERSION: Final = 2
"""Format 1 holds compact separators only, and names no kind of network."""
NAMED: Final = 3
"""So many tensors are named in a refusal."""

Shapes = dict[str, tuple[int, ...]]


class CheckpointError(ValueError):
    """The file is not a checkpoint that can be used; the message names the file and what is wrong with it."""


def write_weights(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and header to a file. Same content, same bytes."""
    from safetensors.torch import save_file

    whole = {key: value.detach().contiguous() for key, value in tensors.items()}
    text = json.dumps({"format": FORMAT_VERSION, **header}, sort_keys=True)
    save_file(whole, path, metadata={METADATA_KEY: text})


def read_header(path: Path) -> tuple[dict[str, Any], Shapes]:
    """Header, and the shape of every tensor. Raises FileNotFoundError, or CheckpointError for what is no such file."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}; name a known model (see: soundquarry models) or give a path")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(METADATA_KEY, "null"))
            shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file ({error}); fetch or export it again") from error
    if not isinstance(header, dict) or header.get("format") not in range(1, FORMAT_VERSION + 1):
        raise CheckpointError(
            f"{path} carries no soundquarry header of format 1 to {FORMAT_VERSION}; export it with this version"
        )
    return header, shapes


def read_tensors(path: Path, names: Iterable[str], prefix: str = "") -> dict[str, Tensor]:
    """Those tensors, named without `prefix`."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {name.removeprefix(prefix): file.get_tensor(name) for name in names}


def fill(module: nn.Module, path: Path, prefix: str) -> None:
    """Give `module` its tensors, those under `prefix`, in its own types. Names and shapes are known to be right."""
    own = module.state_dict()
    given = read_tensors(path, [f"{prefix}{name}" for name in own], prefix)
    module.load_state_dict({name: given[name].to(value.dtype) for name, value in own.items()})


def shapes_of(**modules: nn.Module) -> Shapes:
    """The shape of every tensor of modules, named after them: `clap.text.weight`."""
    return {
        f"{name}.{key}": tuple(value.shape)
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }


def refuse_others(path: Path, shapes: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Raise CheckpointError unless a file's tensors are exactly the expected ones."""
    missing, extra = sorted(expected.keys() - shapes.keys()), sorted(shapes.keys() - expected.keys())
    if missing or extra:
        told = [f"lacks {_some(missing)}"] * bool(missing) + [f"has unknown {_some(extra)}"] * bool(extra)
        raise CheckpointError(f"{path} {' and '.join(told)}; it is of another version, or damaged")
    for name, shape in shapes.items():
        if shape != expected[name]:
            raise CheckpointError(f"{path}: {name} has shape {shape}, expected {expected[name]}")


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + rest
