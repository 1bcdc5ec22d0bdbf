"""What tells whether two pairs of towers give the same vectors: the hash of weights, configuration and tokenizer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, is_dataclass

import torch

from model.towers import Towers


def towers_signature(towers: Towers) -> str:
    """Kind of the towers, and the hash of all that their vectors depend on, whatever separator they come with, and on
    whatever device.

    Loads the text tower where that waits for its first text. Towers whose precision was changed have another one.
    """
    with torch.no_grad():
        towers.embed_text(["a sound"])
    config, tokenizer = getattr(towers, "config", None), getattr(towers, "tokenizer", "")
    told = [asdict(config) if is_dataclass(config) and not isinstance(config, type) else None, tokenizer]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name, tensor in sorted(towers.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return f"{type(towers).__name__}-{digest.hexdigest()[:16]}"
