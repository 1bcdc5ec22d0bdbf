"""`soundquarry models import`: the published CLAPSep, as it was published, becomes one file of ours.

Nothing of the published files is run, and none of it is needed afterwards. The file appears when it is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from model.digest import sha256_of
from model.registry import CHECKPOINT, CLAP, CLAPSEP, DEFAULT_MODEL, TOKENIZER, stored_path
from model.roberta_tokenizer import NEXT_STEP, canonical_json, tokenizer_json
from workflows.model_store import ELSEWHERE, making

if TYPE_CHECKING:
    from model.published import PublishedWeights

PROBE: Final = "Hello world!"
PROBE_IDS: Final = [0, 31414, 232, 328, 2]  # what roberta-base makes of it, start and end included
TOKENIZER_BYTES: Final = 1 << 26  # roberta-base's has 1.4 MB; a file of weights is not read as text
OTHER_WEIGHTS: Final = "CLAPSep, trained with the authors' code"
Networks = Callable[[str], tuple[Any, Any]]
"""Separator and towers, not yet filled, for a tokenizer."""


def import_files(
    checkpoint: Path, clap: Path, tokenizer: Path, out: Path | None, *, verify: bool, as_json: bool
) -> None:
    """The command: import, and say where the model lies."""
    target = out or stored_path(CLAPSEP)
    import_published(checkpoint, clap, tokenizer, target, verify=verify)
    if as_json:
        print(json.dumps({"event": "done", "name": target.stem, "path": str(target)}))
    else:
        print(f"{target.stem} is here: {target}")


def import_published(
    checkpoint: Path, clap: Path, tokenizer: Path, out: Path, *, verify: bool = True, networks: Networks | None = None
) -> None:
    """Write the model made of a published pair and a tokenizer to `out`, replacing what is there.

    `verify`: the published files only, by sha256, and a tokenizer that is roberta-base's. Raises FileNotFoundError, or
    CheckpointError that names the file and what is wrong with it.
    """
    from safetensors import SafetensorError

    from model.published import read_published
    from model.published_layout import shapes_of
    from model.weights_file import CheckpointError

    for path in (checkpoint, clap):
        if not path.is_file():
            raise FileNotFoundError(f"no file {path}; check the path")
    with making(out, 0 if networks else CLAPSEP.size_bytes) as part:
        text = read_tokenizer(tokenizer)
        if verify:
            check_tokenizer(tokenizer, text)
        try:
            separator, towers = (networks or published_networks)(text)
        except ValueError as error:  # a tokenizer of another length
            raise CheckpointError(f"{tokenizer}: {error}") from error
        weights = read_published(
            checkpoint,
            clap,
            separator_shapes=shapes_of(separator.state_dict()),
            clap_shapes=shapes_of(towers.state_dict()),
            verify=verify,
        )
        tokenizer_sha256 = hashlib.sha256(text.encode()).hexdigest()
        made_of = {CHECKPOINT: sha256_of(checkpoint), CLAP: sha256_of(clap), TOKENIZER: tokenizer_sha256}
        about, licence = (CLAPSEP.about, CLAPSEP.licence) if verify else (OTHER_WEIGHTS, "that of its weights")
        provenance = {"about": about, "licence": licence, "made_of": made_of}
        try:
            _save(part, separator, towers, weights, provenance)
        except SafetensorError as error:
            raise OSError(f"{out} cannot be written: {error}; make room, or {ELSEWHERE}") from error


def published_networks(tokenizer: str) -> tuple[Any, Any]:
    """Both networks at published size."""
    from model.clapsep import CLAPSep, CLAPSepConfig
    from model.laion_towers import LaionClap, LaionClapConfig

    return CLAPSep(CLAPSepConfig()), LaionClap(LaionClapConfig(), tokenizer)


def read_tokenizer(path: Path) -> str:
    """The JSON of a tokenizer: a `tokenizer.json`, or what a folder holds: one, or `vocab.json` and `merges.txt`.

    In one form, so that the same tokenizer gives the same file of a model. Raises FileNotFoundError or CheckpointError.
    """
    from model.weights_file import CheckpointError

    file = path / "tokenizer.json" if path.is_dir() else path
    vocab, merges = path / "vocab.json", path / "merges.txt"
    try:
        if file.is_file():
            if (size_bytes := file.stat().st_size) > TOKENIZER_BYTES:
                raise ValueError(f"{size_bytes:,} bytes are too many for one, at most {TOKENIZER_BYTES:,}")
            return canonical_json(file.read_text(encoding="utf-8"))
        if vocab.is_file() and merges.is_file():
            return canonical_json(tokenizer_json(vocab, merges))
    except OSError:
        raise
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is no tokenizer, but no text at all; {NEXT_STEP}") from error
    except Exception as error:  # the library raises nothing more definite
        raise CheckpointError(f"{path} is no tokenizer ({error}); {NEXT_STEP}") from error
    raise FileNotFoundError(
        f"no tokenizer at {path}: give roberta-base's tokenizer.json, or a folder that holds it, or vocab.json and "
        "merges.txt"
    )


def check_tokenizer(path: Path, tokenizer: str) -> None:
    """Raises CheckpointError where a sentence does not become the numbers that roberta-base makes of it."""
    from tokenizers import Tokenizer

    from model.weights_file import CheckpointError

    ids = Tokenizer.from_str(tokenizer).encode(PROBE).ids
    if ids != PROBE_IDS:
        raise CheckpointError(
            f"{path} is not roberta-base's tokenizer: {PROBE!r} becomes {ids[:8]}, expected {PROBE_IDS}. Give that of "
            "FacebookAI/roberta-base, or --unverified for towers you trained with another one"
        )


def _save(part: Path, separator: Any, towers: Any, weights: PublishedWeights, provenance: dict[str, Any]) -> None:
    from model.checkpoint import save_checkpoint

    separator.load_state_dict(weights.separator)
    towers.load_state_dict(weights.clap)
    save_checkpoint(part, separator=separator, clap=towers, gate=DEFAULT_MODEL, provenance=provenance)
    os.chmod(part, 0o644)  # it comes with 0o600
