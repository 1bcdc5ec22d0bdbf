"""An encoder that meets captions first: its loss falls, its file holds what it learned, and others are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_clapsep import small_clapsep
from small_model import EMBEDDING, SEPARATOR, save_small, small_clap, small_separator
from small_unet import small_unet
from tone_examples import ToneTowers, seeded, tone_examples

from model.compact_clapsep import CompactCLAPSep
from model.training.encoder_pretraining import EncoderObjective, EncoderTower, encoder_parts, load_encoder, save_encoder
from model.training.loop import Schedule, train
from model.training.query_texts import TextQueries
from model.training.training_state import Row, StateFile
from model.weights_file import CheckpointError

COARSEST = SEPARATOR.decoder_widths[-1]


class WordedTowers(ToneTowers):
    """With a weight, by which queries see where the towers are."""

    def __init__(self) -> None:
        super().__init__()
        self.place = torch.nn.Parameter(torch.zeros(1), requires_grad=False)


def tower(seed: int = 0) -> EncoderTower:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return EncoderTower(CompactCLAPSep(SEPARATOR), COARSEST, EMBEDDING)


def test_tones_find_their_words_within_seconds(tmp_path: Path) -> None:
    learning, rows = tower(), list[Row]()
    objective = EncoderObjective(learning, TextQueries(WordedTowers()))
    schedule = Schedule(steps=18, rate=0.01, warmup_steps=3, log_every=6)
    train(
        learning,
        lambda step: objective(tone_examples(step), seeded(step)),
        schedule,
        StateFile(tmp_path / "run.pt"),
        on_log=rows.append,
    )
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    assert rows[-1]["hit"] > rows[0]["hit"]


def test_sounds_become_unit_vectors() -> None:
    sounds = tone_examples(0).sounds.flatten(0, 1)
    vectors = tower()(sounds)
    assert vectors.shape == (8, EMBEDDING)
    assert torch.allclose(vectors.norm(dim=-1), torch.ones(8), atol=1e-5)


class KnowingTower(EncoderTower):
    """Knows every tone, and cannot tell two sounds of one tone apart."""

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        return WordedTowers().embed_audio(mixture).round()


def test_a_caption_is_met_by_any_sound_that_has_it() -> None:
    examples = tone_examples(0, batch=4)
    captions = [caption for row in examples.captions for caption in row]
    assert len(set(captions)) < len(captions)
    knowing = KnowingTower(small_separator(), COARSEST, EMBEDDING)
    terms = EncoderObjective(knowing, TextQueries(WordedTowers()))(examples, seeded())
    assert float(terms["hit"]) == 1.0
    least = torch.tensor([float(captions.count(caption)) for caption in captions]).log().mean()
    assert float(terms["loss"].detach()) == pytest.approx(float(least), abs=0.01)


@pytest.mark.parametrize(
    ("network", "parts"), [(small_separator, {"band_norm", "encoder"}), (small_clapsep, {"encoder"})]
)
def test_a_saved_encoder_is_loaded_into_another_network(tmp_path: Path, network: object, parts: set[str]) -> None:
    taught, other = network(seed=0), network(seed=1)  # type: ignore[operator]
    before = {name: value.clone() for name, value in other.state_dict().items()}
    save_encoder(tmp_path / "encoder.safetensors", taught, {"data": "none"})
    load_encoder(other, tmp_path / "encoder.safetensors")
    assert set(encoder_parts(other)) == parts
    own = taught.state_dict()
    for name, value in other.state_dict().items():
        inside = name.partition(".")[0] in parts
        assert torch.equal(value, own[name] if inside else before[name]), name


def test_the_same_encoder_is_the_same_file(tmp_path: Path) -> None:
    for name in ("one", "other"):
        save_encoder(tmp_path / name, small_separator(), {"data": "none"})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_an_encoder_of_another_network_is_refused(tmp_path: Path) -> None:
    save_encoder(tmp_path / "encoder.safetensors", small_clapsep(), {})
    with pytest.raises(CheckpointError, match="mixture_encoder of CLAPSep, and none that fits this CompactCLAPSep"):
        load_encoder(small_separator(), tmp_path / "encoder.safetensors")


def test_a_whole_model_is_no_encoder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds a model of"):
        load_encoder(small_separator(), save_small(tmp_path / "small.safetensors"))


def test_an_encoder_that_is_not_there_is_an_error_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_encoder(small_separator(), tmp_path / "none.safetensors")


def test_a_network_whose_encoder_is_no_part_of_its_own_is_refused() -> None:
    with pytest.raises(ValueError, match="mixture encoder of ConditionalUNet is no part of its own"):
        encoder_parts(small_unet())


def test_towers_are_not_trained() -> None:
    clap = small_clap()
    objective = EncoderObjective(tower(), TextQueries(clap))
    objective(tone_examples(0), seeded())["loss"].backward()
    assert all(weight.grad is None for weight in clap.parameters())
