"""Names and paths of models."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_model import save_small

from model import registry
from model.registry import find_checkpoint, load_model, shipped_models


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped models with `mini` and `other` in it."""
    folder = tmp_path / "weights"
    folder.mkdir()
    save_small(folder / "other.safetensors", seed=1)
    save_small(folder / "mini.safetensors", seed=2)
    (folder / "README.md").touch()
    monkeypatch.setattr(registry, "WEIGHTS", folder)
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
    with pytest.raises(FileNotFoundError, match=r"no model 'maxi'.*\(mini, other\)"):
        find_checkpoint("maxi")
    monkeypatch.setattr(registry, "WEIGHTS", weights / "nowhere")
    with pytest.raises(FileNotFoundError, match="there is none"):
        find_checkpoint("mini")
