"""The models that come along, as a table or as JSON."""

from __future__ import annotations

import json

from model.registry import find_checkpoint, load_model, shipped_models


def print_models(*, as_json: bool = False) -> None:
    """One line (or JSON object) per shipped model: name, size, rate, parameters, licence, what it was trained on."""
    for name in shipped_models():
        model = load_model(name)
        row = {
            "name": name,
            "signature": model.signature,
            "size_mb": round(find_checkpoint(name).stat().st_size / 1e6, 1),
            "parameters": sum(p.numel() for p in model.separator.parameters())
            + sum(p.numel() for p in model.clap.parameters()),
            "sample_rate": model.separator.sample_rate,
            "window_seconds": model.separator.window_samples / model.separator.sample_rate,
            "licence": model.provenance.get("licence", "unknown"),
            "about": model.provenance.get("about", ""),
        }
        if as_json:
            print(json.dumps(row))
        else:
            print(
                f"{row['name']:10} {row['size_mb']} MB, {row['parameters'] / 1e6:.1f} M parameters, "
                f"{row['sample_rate']} Hz, {row['licence']}\n           {row['about']}"
            )
