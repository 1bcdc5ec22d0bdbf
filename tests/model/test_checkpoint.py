"""Checkpoints: the same bytes for the same weights, and a reason for every file that is not one."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from small_model import RATE, lively, random_condition, save_small, small_clap, small_separator

from model.checkpoint import Calibration, load_checkpoint, save_checkpoint
from model.compact_clapsep import CompactCLAPSep
from model.registry import find_checkpoint
from model.weights_file import CheckpointError, read_header

Tensors = dict[str, torch.Tensor]


def contents(path: Path) -> tuple[Tensors, dict[str, object]]:
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, json.loads(file.metadata()["soundquarry"])  # noqa: SIM118


def rewrite(path: Path, tensors: Tensors, header: object) -> Path:
    save_file(tensors, path, metadata={"soundquarry": json.dumps(header)})
    return path


def test_weights_come_back_bit_exact_at_half_precision_and_are_used_in_single(tmp_path: Path) -> None:
    separator, clap = small_separator(3), small_clap(3)
    model = load_checkpoint(save_small(tmp_path / "small.safetensors", seed=3))
    for module, loaded in ((separator, model.separator), (clap, model.clap)):
        assert module.state_dict().keys() == loaded.state_dict().keys()
        for key, value in loaded.state_dict().items():
            original = module.state_dict()[key]
            assert value.dtype == original.dtype
            expected = original.half().float() if original.dtype == torch.float32 else original
            assert torch.equal(value, expected), key
        assert not loaded.training
    assert model.separator.config == separator.config
    assert model.clap.config == clap.config
    assert model.provenance == {"data": "none", "seed": 3}


def test_a_loaded_model_saved_again_is_the_same_file_and_separates_alike(tmp_path: Path) -> None:
    first = save_small(tmp_path / "first.safetensors", calibration=Calibration(0.3, 0.4))
    model = load_checkpoint(first, name="m")
    second = tmp_path / "second.safetensors"
    save_checkpoint(
        second,
        separator=model.separator,
        clap=model.clap,
        calibration=model.calibration,
        provenance=model.provenance,
    )
    assert first.read_bytes() == second.read_bytes()
    again = load_checkpoint(second, name="m")
    assert again.signature == model.signature
    assert again.calibration == Calibration(0.3, 0.4)
    mixture = torch.from_numpy(lively(10.0))
    with torch.inference_mode():
        stems = [m.separator(mixture, random_condition(1)) for m in (model, again)]
    assert torch.equal(*stems)


def test_same_weights_give_the_same_bytes_and_one_changed_weight_another_signature(tmp_path: Path) -> None:
    one, two = save_small(tmp_path / "one.safetensors"), save_small(tmp_path / "two.safetensors")
    assert one.read_bytes() == two.read_bytes()
    tensors, header = contents(two)
    tensors["separator.patches.bias"][0] += 1.0
    save_file(tensors, two, metadata={"soundquarry": json.dumps(header, sort_keys=True)})
    signatures = [load_checkpoint(path, name="m").signature for path in (one, two)]
    assert signatures[0] != signatures[1]
    assert all(signature.startswith("m-") and len(signature) == 18 for signature in signatures)


def test_the_name_of_a_model_is_that_of_its_file_unless_it_is_given(tmp_path: Path) -> None:
    path = save_small(tmp_path / "quarry.safetensors")
    assert load_checkpoint(path).signature.startswith("quarry-")
    assert load_checkpoint(path, name="other").name == "other"


def without(key: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {k: v for k, v in tensors.items() if k != key}


BENT: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "missing": (without("separator.patches.bias"), r"lacks separator\.patches\.bias; it is of another version"),
    "missing tower": (without("clap.text.weight"), r"lacks clap\.text\.weight"),
    "extra": (lambda t: t | {"separator.more": torch.zeros(1)}, r"has unknown separator\.more"),
    "stranger": (lambda t: t | {"optimizer.state": torch.zeros(1)}, r"has unknown optimizer\.state"),
    "misshapen": (
        lambda t: t | {"separator.patches.bias": torch.zeros(5)},
        r"separator.patches.bias has shape \(5,\), expected \(4,\)",
    ),
}


@pytest.mark.parametrize("case", BENT)
def test_missing_extra_and_misshapen_tensors_are_refused_by_name(tmp_path: Path, case: str) -> None:
    bend, said = BENT[case]
    path = save_small(tmp_path / "small.safetensors")
    tensors, header = contents(path)
    rewrite(path, bend(tensors), header)
    with pytest.raises(CheckpointError, match=said) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)


def test_of_many_wrong_tensors_three_are_named_and_the_rest_is_counted(tmp_path: Path) -> None:
    path = save_small(tmp_path / "small.safetensors")
    tensors, header = contents(path)
    lacking = {name: value for name, value in tensors.items() if not name.startswith("clap.")}
    rewrite(path, lacking | {"more": torch.zeros(1)}, header)
    rest = len(tensors) - len(lacking) - 3
    with pytest.raises(
        CheckpointError, match=rf"lacks clap\.\S+, clap\.\S+, clap\.\S+ and {rest} more and has unknown more"
    ):
        load_checkpoint(path)


def of_an_unknown_kind(path: Path) -> None:
    tensors, header = contents(path)
    rewrite(path, tensors, {**header, "network": "band_split"})


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def without_header(path: Path) -> None:
    save_file(contents(path)[0], path)


def of_another_format(path: Path) -> None:
    tensors, header = contents(path)
    rewrite(path, tensors, {**header, "format": 99})


def with_a_header_that_is_no_json(path: Path) -> None:
    save_file(contents(path)[0], path, metadata={"soundquarry": "{"})


def of_an_unknown_configuration(path: Path) -> None:
    tensors, header = contents(path)
    rewrite(path, tensors, {**header, "separator": {"depth": 7}})


def without_a_configuration(path: Path) -> None:
    tensors, header = contents(path)
    rewrite(path, tensors, {key: value for key, value in header.items() if key != "clap"})


class Trap:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.trace,))


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps(Trap(path.with_name("unpickled"))))


def saved_by_torch(path: Path) -> None:
    torch.save({"a": torch.zeros(3)}, path)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (truncated, "not a whole safetensors file"),
        (pickled, "not a whole safetensors file"),
        (saved_by_torch, "not a whole safetensors file"),
        (empty, "not a whole safetensors file"),
        (with_a_header_that_is_no_json, "not a whole safetensors file"),
        (without_header, "carries no soundquarry header of format 1"),
        (of_another_format, "carries no soundquarry header of format 1"),
        (of_an_unknown_configuration, "configuration is not one of this version.*depth"),
        (of_an_unknown_kind, "holds a network of the kind 'band_split', which cannot be used here"),
        (without_a_configuration, "configuration is not one of this version.*clap"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused_by_name(
    tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    path = save_small(tmp_path / "small.safetensors")
    spoil(path)
    with pytest.raises(CheckpointError, match=said) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "unpickled").exists()


def test_a_path_without_a_file_says_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="soundquarry models"):
        load_checkpoint(tmp_path / "no.safetensors")


def test_the_shipped_model_is_of_the_first_format_and_still_loads() -> None:
    path = find_checkpoint("mini")
    header, shapes = read_header(path)
    assert header["format"] == 1
    assert "network" not in header
    model = load_checkpoint(path)
    assert isinstance(model.separator, CompactCLAPSep)
    assert len(shapes) == len(model.separator.state_dict()) + len(model.clap.state_dict())
    assert model.gate_clap is None


def test_every_field_of_the_configurations_survives(tmp_path: Path) -> None:
    model = load_checkpoint(save_small(tmp_path / "small.safetensors"))
    for config in (model.separator.config, model.clap.config):
        assert all(not isinstance(value, list) for value in dataclasses.asdict(config).values())
    assert model.separator.sample_rate == RATE
