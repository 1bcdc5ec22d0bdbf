"""Names of models that come along, and how a name or a path becomes a model."""

from __future__ import annotations

from pathlib import Path

from model.checkpoint import Model, load_checkpoint

WEIGHTS = Path(__file__).parent / "weights"
DEFAULT_MODEL = "mini"


def shipped_models() -> list[str]:
    """Names of the models that lie in the package."""
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))


def find_checkpoint(name_or_path: str) -> Path:
    """The file of a shipped model's name, or the path itself. Raises FileNotFoundError that lists what there is."""
    if name_or_path in shipped_models():
        return WEIGHTS / f"{name_or_path}.safetensors"
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path
    raise FileNotFoundError(
        f"no model {name_or_path!r}: it is neither a file nor a shipped model "
        f"({', '.join(shipped_models()) or 'there is none'})"
    )


def load_model(name_or_path: str = DEFAULT_MODEL) -> Model:
    """The model of a name or path, on the CPU, ready for inference."""
    return load_checkpoint(find_checkpoint(name_or_path))
