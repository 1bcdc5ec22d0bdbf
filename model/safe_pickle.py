"""Tensors out of a file that `torch.save` wrote, without running anything that such a file may hold.

A pickle is a program. Here it may build tensors, plain containers and numpy's numbers; whatever else it names is
refused before it is called.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.weights_file import CheckpointError


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The state dict in a file: the file's whole content, or what lies in it under `state_dict`.

    Where the format allows it the tensors stay in the file until they are used, so that an optimizer's state beside
    them costs no memory. Raises FileNotFoundError, or CheckpointError that names the file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; check the path")
    content = _load(path)
    tensors = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(tensors, dict) or not tensors:
        raise CheckpointError(f"{path} holds no weights, but a {type(tensors).__name__}; give a checkpoint of weights")
    for name, value in tensors.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                f"{path}: {name!r} is a {type(value).__name__}, where only tensors are expected; give a checkpoint of "
                "weights"
            )
    return dict(tensors)


def _load(path: Path) -> Any:
    in_place = zipfile.is_zipfile(path)  # files of torch before 1.6 are no zip, and cannot be mapped
    try:
        with torch.serialization.safe_globals(_numpy_numbers()):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=in_place)
    except (PermissionError, MemoryError):
        raise
    except Exception as error:  # bytes that are no pickle make the reader fail in any way
        if named := re.search(r"GLOBAL (\S+)", str(error)):
            raise CheckpointError(
                f"{path} holds more than weights: it names {named.group(1)}, which could run code. Nothing of it was "
                "run; fetch the file again from where it was published"
            ) from error
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise CheckpointError(f"{path} is no whole file of weights ({reason}); fetch it again") from error


def _numpy_numbers() -> list[Any]:
    """What numpy's scalars are pickled with, under its old and its new name: published files hold their scores so."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(name)) for name in ("float64", "float32", "int64")]
    return [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"), np.dtype, *kinds]
