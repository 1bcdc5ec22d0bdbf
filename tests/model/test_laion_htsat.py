"""HTSAT of laion-clap: loaded without its package, and nothing else changed by it."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from model import laion_htsat
from model.laion_htsat import FRONT_END, SAMPLE_RATE, WINDOW_SAMPLES, build_htsat, package_folder

ROOT = Path(__file__).parents[2]
TINY = (8, (1, 1, 1, 1), (1, 1, 1, 1))


def test_the_front_end_and_the_published_size_are_those_of_the_package() -> None:
    audio = json.loads((package_folder() / "model_configs" / "HTSAT-base.json").read_text())["audio_cfg"]
    assert {name: audio[name] for name in FRONT_END} == FRONT_END
    assert (audio["sample_rate"], audio["clip_samples"]) == (SAMPLE_RATE, WINDOW_SAMPLES)


def test_it_is_built_as_the_package_builds_its_base_size(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Any]] = []
    build_htsat(*TINY)
    module = sys.modules[f"{laion_htsat.OWN_NAME}.htsat"]
    monkeypatch.setattr(module, "HTSAT_Swin_Transformer", lambda **arguments: given.append(arguments))
    audio = json.loads((package_folder() / "model_configs" / "HTSAT-base.json").read_text())["audio_cfg"]
    module.create_htsat_model(type("Audio", (), audio))
    build_htsat(128, (2, 2, 12, 2), (4, 8, 16, 32))
    theirs, ours = ({k: v for k, v in arguments.items() if k != "config"} for arguments in given)
    assert ours == theirs


def test_in_a_new_process_it_leaves_no_trace_and_neither_asks_the_network_nor_reads_weights() -> None:
    code = inspect.cleandoc(
        """
        import builtins, json, sys, warnings
        import torch, h5py, librosa, transformers
        warnings.simplefilter("error")
        path, finders, genuine_import, events = list(sys.path), list(sys.meta_path), builtins.__import__, []
        sys.addaudithook(lambda event, arguments: events.append((event, str(arguments[:1]))))
        from model.laion_htsat import build_htsat
        build_htsat(8, (1, 1, 1, 1), (1, 1, 1, 1))
        names = [n for n in sys.modules if n.partition(".")[0] in ("laion_clap", "clap_module", "torchvision")]
        same = sys.path == path and sys.meta_path == finders and builtins.__import__ is genuine_import
        network = [event for event in events if event[0].startswith(("socket.connect", "socket.getaddrinfo"))]
        data = (".pt", ".ckpt", ".bin", ".npy", ".pkl", ".safetensors", ".h5")
        read = [path for event, path in events if event == "open" and path.strip("(',)").endswith(data)]
        print(json.dumps([names, same, network, read, any(event == "open" for event, _ in events)]))
        """
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[], True, [], [], True]


def test_importing_the_towers_imports_neither_the_package_nor_transformers() -> None:
    code = (
        "import sys, model.laion_towers; print({'transformers', 'tokenizers', 'librosa', 'h5py'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_threads_that_ask_at_once_get_one_class() -> None:
    for name in [name for name in sys.modules if name.startswith(laion_htsat.OWN_NAME)]:
        del sys.modules[name]
    built: list[type] = []
    threads = [threading.Thread(target=lambda: built.append(type(build_htsat(*TINY)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 4
    assert len(set(built)) == 1


def test_an_import_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "utils.py").write_text("do_mixup = interpolate = None\n")
    (tmp_path / "htsat.py").write_text("from .utils import do_mixup\nfrom .feature_fusion import AFF\n")
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(laion_htsat.OWN_NAME)}
    try:
        with pytest.raises(ModuleNotFoundError):
            laion_htsat._import_htsat(tmp_path)
        assert [name for name in sys.modules if name.startswith(laion_htsat.OWN_NAME)] == []
    finally:
        sys.modules.update(before)


def test_without_the_package_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laion_htsat, "PACKAGE", "no_such_package")
    with pytest.raises(FileNotFoundError, match=r"run: pip install 'laion-clap>=1\.1\.7,<2'"):
        package_folder()
