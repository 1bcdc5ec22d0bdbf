"""Names of models: those that come along, those that can be fetched, and how a name or a path becomes a file.

A model that does not come along lies, once it is pulled or imported, in one folder as `<name>.safetensors`.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # torch takes seconds, and a download needs none of it
    from model.checkpoint import Model

WEIGHTS = Path(__file__).parent / "weights"
DEFAULT_MODEL = "mini"
HUB: Final = "https://huggingface.co"
CHECKPOINT: Final = "checkpoint"
CLAP: Final = "clap"
TOKENIZER: Final = "tokenizer"


@dataclass(frozen=True)
class KnownFile:
    """One published file: its role in the model, `path` below the hub (or below a mirror of it), what it must hold."""

    role: str
    path: str
    size_bytes: int
    sha256: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class KnownModel:
    """A model that does not come along: what it is, and the published files that it is made of."""

    name: str
    about: str
    licence: str
    sample_rate: int
    window_seconds: float
    parameters: int
    size_bytes: int
    """How large the one file is that is made of `files`, give or take the tokenizer's text."""
    files: tuple[KnownFile, ...]

    @property
    def made_of(self) -> dict[str, str]:
        """sha256 by role of the files whose bytes count. Those of a tokenizer do not: many files mean the same."""
        return {file.role: file.sha256 for file in self.files if file.role != TOKENIZER}

    @property
    def download_bytes(self) -> int:
        """What has to be fetched."""
        return sum(file.size_bytes for file in self.files)


CLAPSEP_CHECKPOINT: Final = KnownFile(
    CHECKPOINT,
    # At `main`, since no commit of the space is known to us: a file that changes there is refused by its sha256.
    "spaces/AisakaMikoto/CLAPSep/resolve/main/model/best_model.ckpt",
    177_818_986,
    "6fcc8dbcd7174af86266cf16b4105eced0802352762f81dbfefdce29af3dba04",
)
CLAPSEP_CLAP: Final = KnownFile(
    CLAP,
    "lukewys/laion_clap/resolve/b3708341862f581175dba5c356a4ebf74a9b6651/music_audioset_epoch_15_esc_90.14.pt",
    2_352_471_003,
    "fae3e9c087f2909c28a09dc31c8dfcdacbc42ba44c70e972b58c1bd1caf6dedd",
)
CLAPSEP_TOKENIZER: Final = KnownFile(
    TOKENIZER,
    "FacebookAI/roberta-base/resolve/e2da8e2f811d1448a5b465c236feacd80ffbac7b/tokenizer.json",
    1_355_863,
    "847bbeab6174d66a88898f729d52fa8d355fafe1bea101cf960dd404581df70e",
)
CLAPSEP: Final = KnownModel(
    name="clapsep",
    about="the published CLAPSep (arXiv 2402.17455) at full size: everyday sounds in any wording, animals, machines, "
    "instruments; large, so a GPU is advised. Where a query sounds at all (its presence), mini tells",
    licence="CLAPSep's repository: MIT; laion-clap: CC0-1.0; roberta-base: MIT. None of them speaks of the recordings "
    "that the weights were trained on",
    sample_rate=32_000,
    window_seconds=10.0,
    parameters=310_299_698,
    size_bytes=1_242_803_806,
    files=(CLAPSEP_CHECKPOINT, CLAPSEP_CLAP, CLAPSEP_TOKENIZER),
)
KNOWN_MODELS: Final = {CLAPSEP.name: CLAPSEP}


def models_folder() -> Path:
    """Where fetched models lie: `$SOUNDQUARRY_MODELS`, else `soundquarry/models` in the user's cache."""
    if given := os.environ.get("SOUNDQUARRY_MODELS"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "soundquarry" / "models"


def stored_path(model: KnownModel) -> Path:
    """Where a fetched model's one file lies, or will lie."""
    return models_folder() / f"{model.name}.safetensors"


def shipped_models() -> list[str]:
    """Names of the models that lie in the package."""
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))


def model_names() -> list[str]:
    """Every name that stands for a model, whether its file is here or not."""
    return sorted({*shipped_models(), *KNOWN_MODELS})


def find_checkpoint(name_or_path: str) -> Path:
    """The file of a model's name, or the path itself.

    Raises FileNotFoundError that says how to get the model, or lists what there is.
    """
    if name_or_path in shipped_models():
        return WEIGHTS / f"{name_or_path}.safetensors"
    if known := KNOWN_MODELS.get(name_or_path):
        if (path := stored_path(known)).is_file():
            return path
        raise FileNotFoundError(
            f"{known.name} is not here: no {path}. `soundquarry models pull {known.name}` fetches it "
            f"({known.download_bytes / 1e9:.1f} GB); without a network, `soundquarry models import` takes files "
            "that were fetched elsewhere"
        )
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path
    raise no_such_model(name_or_path)


def no_such_model(name: str) -> FileNotFoundError:
    """What to raise for a name that stands for nothing: it suggests the nearest, and lists all."""
    nearest = difflib.get_close_matches(name.lower(), model_names(), n=1)
    hint = f" (did you mean {nearest[0]}?)" if nearest else ""
    return FileNotFoundError(
        f"no model {name!r}{hint}: it is neither a file nor a model's name ({', '.join(model_names())}); give one of "
        "them, or the path of a checkpoint"
    )


def model_signature(name_or_path: str) -> str:
    """The signature of a model that is here, without loading it."""
    from model.checkpoint import signature_of
    from model.weights_file import read_header

    path = find_checkpoint(name_or_path)
    gate = read_header(path)[0].get("gate")
    return signature_of(path, path.stem, None if gate is None else model_signature(gate))


def load_model(name_or_path: str = DEFAULT_MODEL) -> Model:
    """The model of a name or path, on the CPU, ready for inference."""
    from model.checkpoint import load_checkpoint

    path = find_checkpoint(name_or_path)
    return load_checkpoint(path, gate=lambda gate: load_checkpoint(find_checkpoint(gate)))
