"""The models one can name, as a table or as JSON, and everything that is known about one of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

from model.registry import (
    KNOWN_MODELS,
    KnownModel,
    find_checkpoint,
    load_model,
    model_signature,
    no_such_model,
    shipped_models,
    stored_path,
)


def print_models(*, as_json: bool = False) -> None:
    """One line (or JSON object) per model: name, size, rate, parameters, licence, what it is good at, if it is here."""
    rows = [shipped_row(name) for name in shipped_models()] + [known_row(known) for known in KNOWN_MODELS.values()]
    for row in rows:
        if as_json:
            print(json.dumps(row))
        else:
            print(
                f"{row['name']:10} {row['size_mb']} MB, {row['parameters'] / 1e6:.1f} M parameters, "
                f"{row['sample_rate']} Hz, {row['licence']}\n           {row['about']}"
            )
            if not row["here"]:
                print(f"           not here yet: `soundquarry models pull {row['name']}`")


def print_model(name: str, *, as_json: bool = False) -> None:
    """All about one model; raises FileNotFoundError for a name that stands for nothing."""
    if name in shipped_models():
        row = shipped_row(name) | {"path": str(find_checkpoint(name)), "files": []}
    elif name in KNOWN_MODELS:
        row = known_row(KNOWN_MODELS[name]) | known_details(KNOWN_MODELS[name])
    else:
        raise no_such_model(name)
    if as_json:
        print(json.dumps(row))
        return
    print(f"{row['name']}: {row['about']}")
    print(f"licence     {row['licence']}")
    print(
        f"network     {row['sample_rate']} Hz, windows of {row['window_seconds']:g} s, {row['parameters']:,} parameters"
    )
    where = row["path"] if row["here"] else f"not here yet: `soundquarry models pull {name}` puts it at {row['path']}"
    print(f"file        {where} ({row['size_mb']} MB)")
    print(f"signature   {row['signature'] or 'that of the file, once it is here'}")
    for file in row["files"]:
        print(f"made of     {file['url']}\n            {file['size_bytes']:,} bytes, sha256 {file['sha256']}")


def shipped_row(name: str) -> dict[str, Any]:
    """What the file of a model that comes along tells."""
    model = load_model(name)
    return {
        "name": name,
        "signature": model.signature,
        "size_mb": round(find_checkpoint(name).stat().st_size / 1e6, 1),
        "parameters": sum(p.numel() for p in model.separator.parameters())
        + sum(p.numel() for p in model.clap.parameters()),
        "sample_rate": model.separator.sample_rate,
        "window_seconds": model.separator.window_samples / model.separator.sample_rate,
        "licence": model.provenance.get("licence", "unknown"),
        "about": model.provenance.get("about", ""),
        "here": True,
    }


def known_row(known: KnownModel) -> dict[str, Any]:
    """What the registry tells of a model that is fetched, and its file where it is here (sizes are about right before).

    The file is hashed, but not loaded.
    """
    path = stored_path(known)
    here = path.is_file()
    return {
        "name": known.name,
        "signature": model_signature(known.name) if here else None,
        "size_mb": round((path.stat().st_size if here else known.size_bytes) / 1e6, 1),
        "parameters": count_parameters(path) if here else known.parameters,
        "sample_rate": known.sample_rate,
        "window_seconds": known.window_seconds,
        "licence": known.licence,
        "about": known.about,
        "here": here,
    }


def known_details(known: KnownModel) -> dict[str, Any]:
    """Where its file lies or will lie, and the published files."""
    from workflows.model_pull import mirror

    base = mirror()
    files = [{"name": file.name, "url": f"{base}/{file.path}", **asdict(file)} for file in known.files]
    return {"path": str(stored_path(known)), "files": files, "download_bytes": known.download_bytes}


def count_parameters(path: Path) -> int:
    """Numbers in the weights of a checkpoint, without reading them; running statistics are none."""
    from safetensors import SafetensorError, safe_open

    from model.weights_file import CheckpointError

    try:
        with safe_open(path, framework="numpy") as file:
            names = [n for n in file.keys() if n.startswith(("separator.", "clap.")) and ".running_" not in n]  # noqa: SIM118
            return sum(prod(file.get_slice(name).get_shape()) for name in names)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a whole safetensors file ({error}); pull or import it again") from error
