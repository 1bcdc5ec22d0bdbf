"""`soundquarry models import`: the published CLAPSep, as it was published, becomes one file of ours.

Nothing of the published files is run, and none of it is needed afterwards. The file appears when it is whole.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from model.digest import sha256_of
from model.registry import CLAPSEP, DEFAULT_MODEL, stored_path
from model.roberta_tokenizer import tokenizer_json

if TYPE_CHECKING:
    from model.published import PublishedWeights

PROBE: Final = "Hello world!"
PROBE_IDS: Final = [0, 31414, 232, 328, 2]  # what roberta-base makes of it, start and end included
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
    from model.published import read_published
    from model.published_layout import shapes_of
    from model.weights_file import CheckpointError

    for path in (checkpoint, clap):
        if not path.is_file():
            raise FileNotFoundError(f"no file {path}; check the path")
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
    made_of = {checkpoint.name: sha256_of(checkpoint), clap.name: sha256_of(clap)}
    about, licence = (CLAPSEP.about, CLAPSEP.licence) if verify else (OTHER_WEIGHTS, "that of its weights")
    provenance = {"about": about, "licence": licence, "made_of": made_of}
    _save(out, separator, towers, weights, text, provenance)


def published_networks(tokenizer: str) -> tuple[Any, Any]:
    """Both networks at published size."""
    from model.clapsep import CLAPSep, CLAPSepConfig
    from model.laion_towers import LaionClap, LaionClapConfig

    return CLAPSep(CLAPSepConfig()), LaionClap(LaionClapConfig(), tokenizer)


def read_tokenizer(path: Path) -> str:
    """The JSON of a tokenizer: a `tokenizer.json`, or what a folder holds: one, or `vocab.json` and `merges.txt`."""
    file = path / "tokenizer.json" if path.is_dir() else path
    if file.is_file():
        return file.read_text(encoding="utf-8")
    vocab, merges = path / "vocab.json", path / "merges.txt"
    if vocab.is_file() and merges.is_file():
        return tokenizer_json(vocab, merges)
    raise FileNotFoundError(
        f"no tokenizer at {path}: give roberta-base's tokenizer.json, or a folder that holds it, or vocab.json and "
        "merges.txt"
    )


def check_tokenizer(path: Path, tokenizer: str) -> None:
    """Raises CheckpointError where a sentence does not become the numbers that roberta-base makes of it."""
    from tokenizers import Tokenizer

    from model.weights_file import CheckpointError

    try:
        ids = Tokenizer.from_str(tokenizer).encode(PROBE).ids
    except Exception as error:  # the library raises nothing more definite
        raise CheckpointError(f"{path} is no tokenizer ({error}); give roberta-base's tokenizer.json") from error
    if ids != PROBE_IDS:
        raise CheckpointError(
            f"{path} is not roberta-base's tokenizer: {PROBE!r} becomes {ids[:8]}, expected {PROBE_IDS}. Give that of "
            "FacebookAI/roberta-base, or --unverified for towers you trained with another one"
        )


def _save(
    out: Path, separator: Any, towers: Any, weights: PublishedWeights, tokenizer: str, provenance: dict[str, Any]
) -> None:
    from safetensors import SafetensorError

    from model.checkpoint import save_published

    separator.load_state_dict(weights.separator)
    towers.load_state_dict(weights.clap)
    out.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    os.close(handle)
    try:
        save_published(
            Path(part),
            separator=separator,
            clap=towers,
            tokenizer=tokenizer,
            gate=DEFAULT_MODEL,
            provenance=provenance,
        )
        os.chmod(part, 0o644)
        os.replace(part, out)
    except SafetensorError as error:
        raise OSError(f"{out} cannot be written: {error}; make room, or choose another place with --out") from error
    finally:
        Path(part).unlink(missing_ok=True)
