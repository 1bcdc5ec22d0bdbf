"""Tensors out of files that torch saved, and one sentence for every file that is none."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from model.safe_pickle import read_tensors
from model.weights_file import CheckpointError

WEIGHTS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(7)}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "beside", [None, {"epoch": 3, "score": np.float64(0.5), "best": np.float32(2), "n": np.int64(1)}]
)
def test_a_state_dict_comes_back_alone_or_from_beside_other_things(
    tmp_path: Path, legacy: bool, beside: dict[str, object] | None
) -> None:
    content = {"state_dict": WEIGHTS, **beside} if beside else WEIGHTS
    torch.save(content, tmp_path / "w.pt", _use_new_zipfile_serialization=not legacy)
    tensors = read_tensors(tmp_path / "w.pt")
    assert tensors.keys() == WEIGHTS.keys()
    assert all(torch.equal(tensors[name], value) for name, value in WEIGHTS.items())


def test_scalars_of_numpy_2_are_read_as_well_and_nothing_else_of_numpy(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"state_dict": WEIGHTS, "score": np.float64(0.5)}, path, _use_new_zipfile_serialization=False)
    content, old = path.read_bytes(), b"numpy.core.multiarray\nscalar"
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, b"numpy._core.multiarray\nscalar"))
    assert read_tensors(path).keys() == WEIGHTS.keys()
    path.write_bytes(content.replace(old, b"numpy.core.multiarray\n_reconstruct"))
    with pytest.raises(CheckpointError, match=r"it names numpy\.core\.multiarray\._reconstruct"):
        read_tensors(path)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def html(path: Path) -> None:
    path.write_text("<!doctype html><title>Not found</title>")


def noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(5000))


def of_a_whole_network(path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), path)


def of_numbers(path: Path) -> None:
    torch.save({"a": 1.0}, path)


def of_a_list(path: Path) -> None:
    torch.save([torch.ones(2)], path)


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"a": 1}))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (truncated, "no whole file of weights"),
        (halved, "no whole file of weights"),
        (html, "no whole file of weights"),
        (noise, "no whole file of weights"),
        (pickled, "no whole file of weights"),
        (of_a_whole_network, "holds more than weights: it names torch.nn.modules.linear.Linear"),
        (of_numbers, "'a' is a float, where only tensors are expected"),
        (of_a_list, "holds no weights, but a list"),
        (lambda path: path.write_bytes(b""), "no whole file of weights"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused_in_one_sentence(
    tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    path = tmp_path / "w.pt"
    torch.save(WEIGHTS, path)
    spoil(path)
    with pytest.raises(CheckpointError, match=said) as caught:
        read_tensors(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "no.pt")):
        read_tensors(tmp_path / "no.pt")
