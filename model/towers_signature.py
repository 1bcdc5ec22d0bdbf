"""What tells whether two pairs of towers give the same vectors: the hash of their weights."""

from __future__ import annotations

import hashlib

import torch

from model.towers import Towers


def towers_signature(towers: Towers) -> str:
    """Kind and hash of the towers' weights, whatever separator they come with, and on whatever device.

    Loads the text tower where that waits for its first text. Towers whose precision was changed have another one.
    """
    with torch.no_grad():
        towers.embed_text(["a sound"])
    digest = hashlib.sha256()
    for name, tensor in sorted(towers.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return f"{type(towers).__name__}-{digest.hexdigest()[:16]}"
