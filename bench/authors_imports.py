"""Makes the authors' CLAPSep importable where parts of what it asks for are missing; for a process of its own.

What inference does not use is replaced by empty modules: pytorch_lightning, torchvision, PIL. What it does use is
theirs: laion-clap, loralib, einops, torchlibrosa, and torchaudio's resampler, without torchaudio's compiled extension,
which wants a CUDA library. Nothing asks the network: laion-clap's tokenizer comes from files, and its text tower starts
from random weights until the checkpoint is loaded.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from bench.published_shapes import ROBERTA


def prepare(authors: Path, site: Path | None, tokenizer: Path) -> None:
    """From now on `import model.CLAPSep` is the authors'.

    `authors`: a checkout of Aisaka0v0/CLAPSep. `site`: a folder of further packages, searched last. `tokenizer`: a
    folder with RoBERTa's vocab.json and merges.txt.
    """
    for path, what in (
        (authors / "model/CLAPSep.py", "give a checkout of github.com/Aisaka0v0/CLAPSep with --authors"),
        (tokenizer / "merges.txt", "the folder of the weights needs tokenizer/vocab.json and tokenizer/merges.txt"),
    ):
        if not path.exists():
            raise SystemExit(f"{path} does not exist: {what}")
    _offline_transformers(tokenizer)
    importlib.import_module("torchmetrics")  # these two look for optional packages: before the stand-ins can be found
    if site is not None:
        sys.path.append(str(site))
    for name in ("loralib", "einops", "torchaudio", "torchmetrics", "librosa", "laion_clap"):
        if importlib.util.find_spec(name) is None:
            raise SystemExit(f"{name} is missing: pip install --no-deps --target DIR {name}, then --site DIR")
    _stand_in_for_torchvision()
    _torchaudio_without_extension()
    _module("pytorch_lightning", LightningModule=nn.Module)
    sys.path.insert(0, str(authors))
    found = importlib.import_module("model.CLAPSep").__file__
    if found is None or not Path(found).is_relative_to(authors):
        raise SystemExit(f"`model` is {found}, not the authors': run this in a process of its own")


def _offline_transformers(tokenizer: Path) -> None:
    """laion-clap asks for three tokenizers when it is imported, of which it needs one, and for a text tower."""
    import transformers

    for name in ("BertModel", "BartModel"):  # loaded when first looked up
        getattr(transformers, name)
    nothing = classmethod(lambda cls, *_, **__: None)
    transformers.BertTokenizer.from_pretrained = nothing
    transformers.BartTokenizer.from_pretrained = nothing
    files = (str(tokenizer / "vocab.json"), str(tokenizer / "merges.txt"))
    transformers.RobertaTokenizer.from_pretrained = classmethod(lambda cls, *_, **__: cls(*files))
    config = transformers.RobertaConfig(**ROBERTA)
    transformers.RobertaModel.from_pretrained = classmethod(lambda cls, *_, **__: cls(config))


def _stand_in_for_torchvision() -> None:
    """Names that laion-clap imports and its CLAP of sounds never calls; any other name is an error, as it should be."""
    if importlib.util.find_spec("torchvision") is None:
        misc = _module("torchvision.ops.misc", FrozenBatchNorm2d=type("FrozenBatchNorm2d", (nn.Module,), {}))
        names = "Normalize Compose RandomResizedCrop InterpolationMode ToTensor Resize CenterCrop".split()
        transforms = _module("torchvision.transforms", **dict.fromkeys(names))
        datasets = _module("torchvision.datasets")
        ops = _module("torchvision.ops", misc=misc)
        _module("torchvision", ops=ops, transforms=transforms, datasets=datasets)
    if importlib.util.find_spec("PIL") is None:
        _module("PIL", Image=_module("PIL.Image"))


def _torchaudio_without_extension() -> None:
    spec = importlib.util.find_spec("torchaudio")  # found, not imported
    assert spec is not None
    assert spec.submodule_search_locations
    package = _module("torchaudio")
    package.__path__ = list(spec.submodule_search_locations)
    _module("torchaudio._extension", _IS_TORCHAUDIO_EXT_AVAILABLE=False, fail_if_no_align=lambda function: function)


def _module(name: str, **members: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module
    return module
