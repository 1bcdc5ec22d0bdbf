"""HTSAT, the audio network of CLAP, from the installed package laion-clap, without starting that package.

`import laion_clap` asks the network for three tokenizers, needs torchvision and puts its own folder on `sys.path`.
One file of it is wanted here, `clap_module/htsat.py`, and it is imported under a name of our own: `sys.path`, and
what a later `import laion_clap` or `import torchvision` finds, stay as they were. Nothing is downloaded or unpickled.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final

from torch import nn

PACKAGE: Final = "laion_clap"
OWN_NAME: Final = "_soundquarry_clap_module"
SAMPLE_RATE: Final = 48_000
WINDOW_SAMPLES: Final = 480_000
"""Ten seconds, the longest sound that HTSAT hears."""
FRONT_END: Final = {
    "sample_rate": SAMPLE_RATE,
    "window_size": 1024,
    "hop_size": 480,
    "mel_bins": 64,
    "fmin": 50,
    "fmax": 14_000,
    "class_num": 527,
}
"""What every published CLAP with an HTSAT hears (`model_configs/HTSAT-*.json` of the package)."""

_LOCK: Final = threading.Lock()


def build_htsat(width: int, depths: Sequence[int], heads: Sequence[int]) -> Any:
    """A random HTSAT of laion-clap, built as its `create_htsat_model` does, which knows three sizes only.

    Raises FileNotFoundError, with the command that installs it, where laion-clap is missing.
    """
    network = _htsat_module().HTSAT_Swin_Transformer
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.meshgrid", category=UserWarning)
        return network(
            spec_size=256,
            patch_size=4,
            patch_stride=(4, 4),
            num_classes=FRONT_END["class_num"],
            embed_dim=width,
            depths=list(depths),
            num_heads=list(heads),
            window_size=8,
            config=SimpleNamespace(**FRONT_END),
            enable_fusion=False,
            fusion_type="None",
        )


def package_folder() -> Path:
    """Folder of laion-clap's networks. Raises FileNotFoundError with the command that installs the package."""
    spec = importlib.util.find_spec(PACKAGE)  # does not import it
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("laion-clap is not installed; run: pip install 'laion-clap>=1.1.7,<2'")
    return Path(spec.submodule_search_locations[0]) / "clap_module"


def _htsat_module() -> ModuleType:
    with _LOCK:
        loaded = sys.modules.get(f"{OWN_NAME}.htsat")
        return loaded or _import_htsat(package_folder())


def _import_htsat(folder: Path) -> ModuleType:
    package = ModuleType(OWN_NAME)
    package.__path__ = [str(folder)]
    sys.modules[OWN_NAME] = package
    try:
        _import_utils(folder)
        return importlib.import_module(f"{OWN_NAME}.htsat")
    except BaseException:
        for name in (OWN_NAME, f"{OWN_NAME}.utils", f"{OWN_NAME}.feature_fusion"):
            sys.modules.pop(name, None)
        raise


def _import_utils(folder: Path) -> None:
    """`utils.py`, which `htsat.py` imports, with an `import` of its own.

    It wants a class of torchvision that HTSAT never uses. A stand-in in `sys.modules` would for that moment be seen by
    every thread, and transformers remembers what it saw.
    """
    name = f"{OWN_NAME}.utils"
    spec = importlib.util.spec_from_file_location(name, folder / "utils.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder / 'utils.py'} cannot be imported; reinstall laion-clap>=1.1.7,<2")
    module = importlib.util.module_from_spec(spec)
    module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _import_without_torchvision}
    sys.modules[name] = module
    spec.loader.exec_module(module)


def _import_without_torchvision(name: str, *arguments: Any, **keywords: Any) -> Any:
    if name == "torchvision.ops.misc":
        return SimpleNamespace(FrozenBatchNorm2d=nn.Module)
    return builtins.__import__(name, *arguments, **keywords)
