"""Names and paths of models."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from small_model import save_small

from model import registry
from model.registry import (
    CLAPSEP,
    find_checkpoint,
    load_model,
    model_names,
    model_signature,
    models_folder,
    shipped_models,
    stored_path,
)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped models with `mini` and `other` in it, and an empty one for those that are fetched."""
    folder = tmp_path / "weights"
    folder.mkdir()
    save_small(folder / "other.safetensors", seed=1)
    save_small(folder / "mini.safetensors", seed=2)
    (folder / "README.md").touch()
    monkeypatch.setattr(registry, "WEIGHTS", folder)
    monkeypatch.setenv("SOUNDQUARRY_MODELS", str(tmp_path / "fetched"))
    return folder


def test_shipped_models_are_found_by_name_and_the_default_is_one(weights: Path) -> None:
    assert shipped_models() == ["mini", "other"]
    assert find_checkpoint("other") == weights / "other.safetensors"
    assert load_model().provenance["seed"] == 2
    assert load_model("other").name == "other"


def test_a_path_is_taken_as_it_is_and_may_begin_at_home(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_small(tmp_path / "mine.safetensors", seed=3)
    assert find_checkpoint(str(path)) == path
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_model("~/mine.safetensors").provenance["seed"] == 3


def test_an_unknown_name_lists_what_there_is(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model 'xyz': .*\(clapsep, mini, other\)"):
        find_checkpoint("xyz")
    monkeypatch.setattr(registry, "WEIGHTS", weights / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no model 'mini'.*\(clapsep\)"):
        find_checkpoint("mini")


@pytest.mark.parametrize(("typed", "meant"), [("clapsp", "clapsep"), ("CLAPsep", "clapsep"), ("minni", "mini")])
def test_a_typing_error_is_answered_with_the_nearest_name(weights: Path, typed: str, meant: str) -> None:
    with pytest.raises(FileNotFoundError, match=rf"no model '{typed}' \(did you mean {meant}\?\)"):
        find_checkpoint(typed)


def test_a_model_that_is_not_fetched_yet_says_where_it_would_lie_and_both_ways_to_get_it(weights: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        find_checkpoint("clapsep")
    said = str(caught.value)
    assert str(stored_path(CLAPSEP)) in said
    assert "soundquarry models pull clapsep" in said
    assert "soundquarry models import" in said
    assert "2.5 GB" in said


def test_a_fetched_model_is_found_by_name(weights: Path) -> None:
    stored_path(CLAPSEP).parent.mkdir()
    save_small(stored_path(CLAPSEP), seed=4)
    assert find_checkpoint("clapsep") == stored_path(CLAPSEP)
    assert load_model("clapsep").signature == model_signature("clapsep")
    assert model_signature("clapsep").startswith("clapsep-")
    assert model_names() == ["clapsep", "mini", "other"]


def test_the_folder_of_fetched_models_is_the_users_cache_unless_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("SOUNDQUARRY_MODELS", raising=False)
    assert models_folder() == Path("/home/ann/.cache/soundquarry/models")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert models_folder() == Path("/cache/soundquarry/models")
    monkeypatch.setenv("SOUNDQUARRY_MODELS", "~/models")
    assert models_folder() == Path("/home/ann/models")


def test_every_known_file_can_be_told_from_another() -> None:
    for known in registry.KNOWN_MODELS.values():
        assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) and file.size_bytes > 0 for file in known.files)
        assert len({file.name for file in known.files}) == len(known.files)


def test_names_are_looked_up_without_torch() -> None:
    code = (
        "import sys; from model.registry import find_checkpoint; find_checkpoint('mini'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
