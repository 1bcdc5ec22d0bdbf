"""The published CLAP's towers: laion-clap's own vectors to 1e-5, whatever else is in the batch."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_towers import (
    SENTENCES,
    SMALL,
    small_tokenizer,
    small_towers,
    sounds_at_48_khz,
    write_small_vocabulary,
)
from torch import Tensor

from model.laion_towers import LaionClap, LaionClapConfig, fourier_power, repeat_pad, text_shapes, text_tower

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "laion_reference.py"
TINY_TEXT = dataclasses.replace(SMALL, text_width=768, text_layers=1, text_heads=4)  # laion-clap fixes the width
LENGTHS = {"ten_seconds": 480_000, "three_and_a_bit": 150_001, "just_over_half": 240_001, "hundredth": 480}


@dataclasses.dataclass(frozen=True)
class Reference:
    """Our towers, and what laion-clap's own CLAP says with the same weights."""

    towers: LaionClap
    sounds: dict[str, Tensor]
    answers: dict[str, Tensor]
    surroundings: dict[str, Any]


def ask_laion_clap(folder: Path, config: LaionClapConfig, sounds: dict[str, Tensor]) -> Reference:
    towers = small_towers(config)
    for name in ("roberta-base", "facebook/bart-base"):
        write_small_vocabulary(folder / name, config.vocabulary)
    (folder / "bert-base-uncased").mkdir()
    (folder / "bert-base-uncased" / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    (folder / "config.json").write_text(json.dumps(dataclasses.asdict(config)))
    (folder / "texts.json").write_text(json.dumps(SENTENCES))
    save_file({k: v.contiguous() for k, v in towers.state_dict().items()}, folder / "weights.safetensors")
    save_file(sounds, folder / "sounds.safetensors")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(SCRIPT), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "weights.safetensors").unlink()
    answers = load_file(folder / "answers.safetensors")
    return Reference(towers, sounds, answers, json.loads((folder / "surroundings.json").read_text()))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    sounds = {name: sounds_at_48_khz(samples)[: None if samples == 480_000 else 2] for name, samples in LENGTHS.items()}
    return ask_laion_clap(tmp_path_factory.mktemp("laion"), TINY_TEXT, sounds)


@pytest.fixture(scope="module")
def towers() -> LaionClap:
    return small_towers()


def difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).detach().abs().max())


def likeness(vectors: Tensor) -> float:
    """Highest cosine between two different rows."""
    return float((vectors @ vectors.T - 2 * torch.eye(len(vectors))).max())


def test_sounds_have_the_vectors_of_laion_clap(reference: Reference) -> None:
    for name, sounds in reference.sounds.items():
        assert difference(reference.towers.embed_audio(sounds), reference.answers[f"audio.{name}"]) < 1e-5, name
    assert likeness(reference.answers["audio.ten_seconds"][[0, 2, 3]]) < 0.95


def test_sentences_have_the_vectors_of_laion_clap_which_pads_to_77(reference: Reference) -> None:
    assert reference.answers["tokens"].shape == (len(SENTENCES), 77)
    assert difference(reference.towers.embed_text(SENTENCES), reference.answers["text"]) < 1e-5
    assert likeness(reference.answers["text"]) < 0.95


def test_short_sounds_are_repeated_as_laion_clap_repeats_them(reference: Reference) -> None:
    for name, sounds in reference.sounds.items():
        assert torch.equal(repeat_pad(sounds), reference.answers[f"padded.{name}"]), name


def test_laion_clap_can_be_imported_after_ours_and_is_itself(reference: Reference) -> None:
    assert reference.surroundings == {
        "path_is_as_before": True,
        "foreign": [],
        "same_class": False,
        "missing": [],
        "unexpected": [],
    }


@pytest.mark.slow
def test_towers_of_the_published_size_have_the_vectors_of_laion_clap(tmp_path: Path) -> None:
    sounds = {"ten_seconds": sounds_at_48_khz(), "short": sounds_at_48_khz(150_001)[:2]}
    reference = ask_laion_clap(tmp_path, LaionClapConfig(), sounds)
    for name, batch in sounds.items():
        assert difference(reference.towers.embed_audio(batch), reference.answers[f"audio.{name}"]) < 1e-5, name
    assert difference(reference.towers.embed_text(SENTENCES), reference.answers["text"]) < 1e-5
    assert likeness(reference.answers["audio.ten_seconds"][[0, 2, 3]]) < 0.95
    assert likeness(reference.answers["text"]) < 0.95


def test_the_tensors_of_the_published_size_are_those_of_the_published_checkpoint() -> None:
    with torch.device("meta"):
        text = text_tower(LaionClapConfig()).state_dict()
    assert len(text) == 199 + 4
    assert text["text_branch.embeddings.word_embeddings.weight"].shape == (50_265, 768)
    assert text["text_branch.encoder.layer.11.output.dense.weight"].shape == (768, 3072)
    assert text["text_projection.2.weight"].shape == (512, 512)


def test_names_begin_as_those_of_the_published_checkpoint_and_nothing_is_left_out(towers: LaionClap) -> None:
    beginnings = {name.partition(".")[0] for name in towers.state_dict()}
    assert beginnings == {"audio_branch", "audio_projection", "text_branch", "text_projection"}
    assert "audio_branch.spectrogram_extractor.stft.conv_real.weight" in towers.state_dict()
    assert not any("position_ids" in name for name in towers.state_dict())


def test_the_batch_changes_nothing(towers: LaionClap) -> None:
    sounds = sounds_at_48_khz(100_000)
    together = towers.embed_audio(sounds)
    assert difference(together, torch.cat([towers.embed_audio(sound[None]) for sound in sounds])) < 1e-5
    many = [f"{sentence} {number}" for number in range(6) for sentence in SENTENCES]  # more than one batch
    together = towers.embed_text(many)
    assert difference(together, torch.cat([towers.embed_text([sentence]) for sentence in many])) < 1e-5
    assert difference(towers.embed_text(many[::-1]), together.flip(0)) < 1e-5


def test_vectors_have_unit_length_and_the_documented_shape(towers: LaionClap) -> None:
    for vectors in (towers.embed_text(SENTENCES), towers.embed_audio(sounds_at_48_khz(48_000))):
        assert vectors.shape[1] == SMALL.embedding
        assert vectors.dtype == torch.float32
        assert torch.allclose(vectors.norm(dim=1), torch.ones(len(vectors)), atol=1e-5)
    assert towers.embed_text([]).shape == (0, SMALL.embedding)


def test_words_behind_the_75th_token_change_nothing(towers: LaionClap) -> None:
    long = "a " * 75
    assert torch.equal(towers.embed_text([long + "bell"]), towers.embed_text([long + "dog barking"]))
    assert difference(towers.embed_text(["a bell"]), towers.embed_text(["a dog barking"])) > 0.01


@pytest.mark.parametrize("samples", [0, 480_001])
def test_sounds_of_no_or_too_many_samples_are_refused(towers: LaionClap, samples: int) -> None:
    with pytest.raises(ValueError, match=rf"a sound of {samples} samples .* 1 to 480000 .*cut it into windows first"):
        towers.embed_audio(torch.zeros(1, samples))


def test_a_sound_without_a_batch_is_refused(towers: LaionClap) -> None:
    with pytest.raises(ValueError, match=r"sounds are \[B, T\], got tuple\(audio\.shape\) = \(480000,\)"):
        towers.embed_audio(torch.zeros(480_000))


def test_a_sine_survives_autocast_because_the_front_end_stays_in_single_precision(towers: LaionClap) -> None:
    sine = sounds_at_48_khz()[:1]
    exact, image = towers.embed_audio(sine), towers._image(sine)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(towers._image(sine), image)
        assert towers.embed_audio(sine).dtype == torch.float32
        assert float((towers.embed_audio(sine) * exact).sum()) > 0.999
        bands = towers.audio_branch.logmel_extractor(towers.audio_branch.spectrogram_extractor(sine))
    rough = towers.audio_branch.reshape_wav2img(towers.audio_branch.bn0(bands.float().transpose(1, 3)).transpose(1, 3))
    assert difference(rough, image) > 1.0  # what it would be otherwise


def test_the_fourier_transform_of_other_devices_gives_the_vectors_of_the_convolution(
    towers: LaionClap, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounds = sounds_at_48_khz()
    by_convolution = towers.embed_audio(sounds)
    monkeypatch.setattr(towers, "_power", lambda audio: fourier_power(audio, towers.hann))
    by_transform = towers.embed_audio(sounds)
    assert 0.0 < difference(by_convolution, by_transform) < 3e-5


def test_training_mode_changes_nothing_and_gradients_reach_the_sound(towers: LaionClap) -> None:
    sound = sounds_at_48_khz(48_000)[2:3].requires_grad_()
    vector = copy.deepcopy(towers).train().embed_audio(sound)
    assert difference(vector, towers.embed_audio(sound)) == 0.0
    vector[0, 0].backward()
    assert sound.grad is not None
    assert float(sound.grad.abs().max()) > 0
    assert not any(weight.requires_grad for weight in towers.parameters())


def test_the_text_tower_comes_into_being_with_the_first_text(towers: LaionClap) -> None:
    asked = []

    def weights() -> dict[str, Tensor]:
        asked.append(True)
        return {name: tensor for name, tensor in towers.state_dict().items() if name.startswith("text_")}

    lazy = LaionClap(SMALL, small_tokenizer(), weights)
    audio = {name: tensor for name, tensor in towers.state_dict().items() if name.startswith("audio_")}
    lazy.load_state_dict(audio)  # strict: these and no others
    sounds = sounds_at_48_khz(48_000)
    assert torch.equal(lazy.embed_audio(sounds), towers.embed_audio(sounds))
    assert asked == []
    with torch.inference_mode():
        lazy.embed_text(["a bell"])
    assert torch.equal(lazy.embed_text(SENTENCES), towers.embed_text(SENTENCES))
    assert asked == [True]
    assert lazy.state_dict().keys() == towers.state_dict().keys()
    assert not any(weight.requires_grad or weight.is_inference() for weight in lazy.parameters())
    shared = lazy.text_projection[0].weight.data_ptr()
    assert shared == towers.text_projection[0].weight.data_ptr()  # 500 MB are not there twice


def test_text_weights_that_lack_a_tensor_are_refused_by_name_and_asked_for_again(towers: LaionClap) -> None:
    given = {name: tensor for name, tensor in towers.state_dict().items() if name.startswith("text_")}
    missing = given.pop("text_projection.2.bias")
    lazy = LaionClap(SMALL, small_tokenizer(), lambda: given)
    with pytest.raises(RuntimeError, match=r"text_projection\.2\.bias"):
        lazy.embed_text(["a bell"])
    given["text_projection.2.bias"] = missing
    assert torch.equal(lazy.embed_text(["a bell"]), towers.embed_text(["a bell"]))


def test_a_tokenizer_of_another_size_is_refused_when_the_towers_are_made() -> None:
    with pytest.raises(ValueError, match=r"knows 320 tokens, the text tower 300"):
        LaionClap(SMALL, small_tokenizer(320))


def test_a_network_of_other_than_four_levels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"four levels, got self\.depths = \(2, 2\)"):
        LaionClapConfig(depths=(2, 2))


@pytest.mark.parametrize("config", [SMALL, LaionClapConfig()])
def test_the_shapes_of_the_text_tower_are_told_without_building_it(config: LaionClapConfig) -> None:
    with torch.device("meta"):
        tower = text_tower(config)
    assert text_shapes(config) == {name: tuple(value.shape) for name, value in tower.state_dict().items()}
