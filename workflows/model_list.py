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
from workflows.model_store import stored


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
            if remark := remark_on(row):
                print(f"           {remark}")


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
    remark = remark_on(row)
    print(f"file        {row['path']} ({row['size_mb']} MB){remark and ': ' + remark}")
    print(f"signature   {row['signature'] or 'that of the file, once it is here'}")
    if row["published"] is False:
        for role, sha256 in row["made_of"].items():
            print(f"made of     {role}, sha256 {sha256}")
        return
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
        "made_of": {},
        "here": True,
        "state": "whole",
        "published": None,
    }


def known_row(known: KnownModel) -> dict[str, Any]:
    """What the file of a model that is fetched tells of itself, and before it is here what the registry tells.

    The file is hashed, but not loaded. `state` is absent, whole or damaged; `published`: whether it is made of the
    published files.
    """
    place = stored(known)
    path, here = place.path, place.state == "whole"
    return {
        "name": known.name,
        "signature": model_signature(known.name) if here else None,
        "size_mb": round((known.size_bytes if place.state == "absent" else path.stat().st_size) / 1e6, 1),
        "parameters": count_parameters(path) if here else known.parameters,
        "sample_rate": known.sample_rate,
        "window_seconds": known.window_seconds,
        "licence": place.provenance.get("licence", "unknown") if here else known.licence,
        "about": place.provenance.get("about", "") if here else known.about,
        "made_of": dict(place.provenance.get("made_of") or {}),
        "here": here,
        "state": place.state,
        "published": place.published if here else None,
    }


def remark_on(row: dict[str, Any]) -> str:
    """What has to be said of a model's file; nothing where all is well."""
    if row["state"] == "absent":
        return f"not here yet: `soundquarry models pull {row['name']}`"
    if row["state"] == "damaged":
        return f"damaged: pull or import it again, `soundquarry models pull {row['name']}`"
    return "not the published weights" if row["published"] is False else ""


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
