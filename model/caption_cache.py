"""Captions and their text embeddings in one file, from which training without captions retrieves (arXiv 2409.09398).

A cache belongs to its captions, to the towers that embedded them, and to the template that each was put into; its key
is the hash of the three. Embeddings are float16 on disk, float32 in use. The file is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import torch
from torch import Tensor

from model.towers import Towers
from model.towers_signature import towers_signature
from model.weights_file import CheckpointError, read_header, read_tensors, write_weights

KIND: Final = "captions"
HEADER: Final = frozenset({"key", "vectors", "towers", "template", "count"})
"""What a cache says of itself; `vectors` is their hash."""
PLAIN: Final = "{}"
"""The template of a caption as it is. Another one: "the sound of {}"."""
BATCH: Final = 64
"""Captions embedded together, those of like length: padding to the longest would cost as much as the captions."""
AGAIN: Final = "make it anew with `soundquarry captions cache`"


class CaptionCacheError(ValueError):
    """The cache cannot be made or used; the message says why and what to do."""


@dataclass(frozen=True)
class CaptionCache:
    """Captions, all different, and their vectors [K, D] in float32: of unit length as far as float16 can tell, so that
    a cache just made holds the very numbers of the one that is opened later.

    `towers`: signature of the towers that made them. `template`: what each caption was put into.
    """

    captions: tuple[str, ...]
    vectors: Tensor
    towers: str
    template: str = PLAIN

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def key(self) -> str:
        """Hash of captions, towers and template: what a cache is made of. The file has a hash of the vectors, too."""
        return key_of(self.captions, self.towers, self.template)

    @classmethod
    @torch.no_grad()
    def embed(
        cls,
        captions: Iterable[str],
        towers: Towers,
        template: str = PLAIN,
        *,
        on_done: Callable[[int], None] = lambda count: None,
    ) -> Self:
        """The cache of captions, each put into `template` in place of `{}`. Empty and repeated ones are dropped.

        `on_done` hears how many are done. Raises CaptionCacheError for a bad template, and where there is no caption.
        """
        check_template(template)
        different = tuple(dict.fromkeys(filter(None, (" ".join(caption.split()) for caption in captions))))
        if not different:
            raise CaptionCacheError("there is no caption to embed; give one at least")
        device = next(towers.parameters()).device
        halves = torch.empty(len(different), towers.width, dtype=torch.float16)
        by_length = sorted(range(len(different)), key=lambda row: len(different[row]))
        for start in range(0, len(different), BATCH):
            rows = by_length[start : start + BATCH]
            with torch.autocast(device.type, enabled=False):
                vectors = towers.embed_text([template.replace("{}", different[row]) for row in rows])
            halves[rows] = vectors.float().cpu().half()
            on_done(start + len(rows))
        return cls(different, halves.float(), towers_signature(towers), template)

    @classmethod
    def open(cls, path: Path, towers: Towers, template: str = PLAIN) -> Self:
        """The cache in a file, for these towers and this template.

        Raises FileNotFoundError, or CaptionCacheError for a file that is none, is damaged, or was made by other towers
        or with another template.
        """
        header = cache_header(path)
        if header["template"] != template:
            raise CaptionCacheError(
                f"{path} holds captions in the template {header['template']!r}, and {template!r} is asked for; ask for "
                f"that one, or {AGAIN}"
            )
        signature = towers_signature(towers)
        if header["towers"] != signature:
            raise CaptionCacheError(
                f"{path} was made by the towers {header['towers']}, and these are {signature}: their vectors do not "
                f"meet; {AGAIN} and the model that is trained"
            )
        tensors = read_tensors(path, ["captions", "vectors"])
        try:
            captions = tuple(bytes(tensors["captions"].numpy()).decode().split("\n"))
        except (TypeError, UnicodeDecodeError) as error:
            raise CaptionCacheError(f"{path} holds captions that are no text ({error}); {AGAIN}") from error
        cache = cls(captions, tensors["vectors"].float(), signature, template)
        if (
            cache.key != header["key"]
            or cache.vectors.shape != (len(captions), towers.width)
            or _digest(tensors["vectors"]) != header["vectors"]
        ):
            raise CaptionCacheError(f"{path} does not hold what it says; {AGAIN}")
        return cache

    def save(self, path: Path) -> None:
        """Write the cache to a file, in one go: whoever stops it leaves nothing, or the file that was there."""
        text = "\n".join(self.captions).encode()
        tensors = {"captions": torch.frombuffer(bytearray(text), dtype=torch.uint8), "vectors": self.vectors.half()}
        header = {
            "kind": KIND,
            "key": self.key,
            "vectors": _digest(tensors["vectors"]),
            "towers": self.towers,
            "template": self.template,
            "count": len(self),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            part.touch()
            mode = part.stat().st_mode
            write_weights(part, tensors, header)
            part.chmod(mode)  # safetensors makes files that nobody else may read
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def key_of(captions: Iterable[str], towers: str, template: str) -> str:
    """Hash of captions in their order, the signature of towers, and a template."""
    return hashlib.sha256(json.dumps([list(captions), towers, template]).encode()).hexdigest()


def check_template(template: str) -> None:
    """Raise CaptionCacheError unless a caption fits into it."""
    if template.count("{}") != 1:
        raise CaptionCacheError(
            f"the template is {template!r}: it takes the caption at one {{}}, as 'the sound of {{}}'"
        )


def cache_header(path: Path) -> dict[str, Any]:
    """What a cache says of itself: everything in HEADER. Raises as `CaptionCache.open` does."""
    if not path.is_file():
        raise FileNotFoundError(f"no caption cache at {path}; {AGAIN.replace(' anew', '')}")
    try:
        header, shapes = read_header(path)
    except CheckpointError as error:
        raise CaptionCacheError(f"{path} is no caption cache, or not a whole one; {AGAIN}") from error
    if header.get("kind") != KIND or set(shapes) != {"captions", "vectors"}:
        raise CaptionCacheError(f"{path} is not a caption cache; {AGAIN} under another name")
    if missing := HEADER - set(header):
        raise CaptionCacheError(f"{path} does not say its {', '.join(sorted(missing))}: of another version; {AGAIN}")
    return header


def _digest(vectors: Tensor) -> str:
    return hashlib.sha256(vectors.contiguous().flatten().view(torch.uint8).numpy().data).hexdigest()
