"""Mixtures made on the fly: the same for the same seed, sums of their sounds, levels and words as the recipe says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_model import RATE
from tone_library import HERTZ, tone_library

from model.training.clips import Clip, ClipLibrary
from model.training.mixtures import LOUDEST_PEAK, FewLabelsError, MixtureDraw, MixtureSettings

SETTINGS = MixtureSettings(batch=6, seconds=0.5)
PAIRS = MixtureSettings(batch=6, seconds=0.5, parts=2)


@pytest.fixture(scope="module")
def library() -> ClipLibrary:
    return tone_library()


def noise_library(labels: int = 4, captioned: bool = True, clips_each: int = 1) -> ClipLibrary:
    """Steady noise, equally loud everywhere, so that levels of whole sounds can be measured on them."""
    random = np.random.default_rng(3)
    names = [f"noise {number}" for number in range(labels)]
    clips = [
        Clip(name, np.round(3000 * random.standard_normal(RATE)).astype(np.int16))
        for name in names
        for _ in range(clips_each)
    ]
    return ClipLibrary(clips, {name: [name] for name in names} if captioned else {}, {}, captioned=captioned)


def level_db(sound: torch.Tensor) -> torch.Tensor:
    return 10.0 * sound.square().mean(dim=-1).log10()


@pytest.mark.parametrize("settings", [SETTINGS, PAIRS])
def test_the_same_seed_step_and_worker_give_the_same_bytes(library: ClipLibrary, settings: MixtureSettings) -> None:
    one, other = (MixtureDraw(library, settings, RATE, seed=1)(5, 2) for _ in range(2))
    assert torch.equal(one.mixture, other.mixture)
    assert torch.equal(one.sounds, other.sounds)
    assert (one.captions, one.phrases) == (other.captions, other.phrases)


def test_another_step_worker_or_seed_gives_other_mixtures(library: ClipLibrary) -> None:
    draw, reseeded = (MixtureDraw(library, SETTINGS, RATE, seed) for seed in (1, 2))
    drawn = [draw(5), draw(6), draw(5, 1), reseeded(5)]
    assert len({examples.mixture.numpy().tobytes() for examples in drawn}) == 4


def test_steps_may_be_drawn_in_any_order(library: ClipLibrary) -> None:
    draw = MixtureDraw(library, SETTINGS, RATE, seed=1)
    forwards = [draw(step).mixture for step in (0, 1, 2)]
    backwards = [draw(step).mixture for step in (2, 1, 0)]
    assert all(map(torch.equal, forwards, reversed(backwards)))


@pytest.mark.parametrize("settings", [SETTINGS, PAIRS, MixtureSettings(batch=3, seconds=0.5, sounds=3)])
def test_a_mixture_is_the_sum_of_its_sounds(library: ClipLibrary, settings: MixtureSettings) -> None:
    examples = MixtureDraw(library, settings, RATE, seed=1)(0)
    assert examples.sounds.shape == (settings.batch, settings.sounds, RATE // 2)
    assert examples.sounds.dtype == torch.float32
    assert torch.allclose(examples.mixture, examples.sounds.sum(dim=1), atol=1e-6)
    assert examples.sample_rate == RATE


def test_no_mixture_is_louder_than_the_loudest_peak() -> None:
    library = ClipLibrary(
        [Clip(label, np.full(RATE, 32767, np.int16)) for label in HERTZ], {label: [label] for label in HERTZ}, {}
    )
    settings = MixtureSettings(batch=32, seconds=0.25, lowest_gain_db=0.0, vary=False)
    peaks = MixtureDraw(library, settings, RATE, seed=1)(0).mixture.abs().amax(dim=-1)
    assert float(peaks.max()) <= LOUDEST_PEAK + 1e-6
    assert float(peaks.min()) == pytest.approx(LOUDEST_PEAK, abs=1e-4)  # all were too loud, and none is muted


def test_levels_between_sounds_fill_their_range() -> None:
    settings = MixtureSettings(batch=64, seconds=0.5, lowest_snr_db=-3.0, highest_snr_db=6.0)
    sounds = MixtureDraw(noise_library(), settings, RATE, seed=1)(0).sounds
    ratio = level_db(sounds[:, 0]) - level_db(sounds[:, 1])
    assert float(ratio.min()) == pytest.approx(-3.0, abs=0.8)
    assert float(ratio.max()) == pytest.approx(6.0, abs=0.8)
    assert -3.001 <= float(ratio.min()) <= float(ratio.max()) <= 6.001


def test_whole_mixtures_are_turned_down_within_their_range() -> None:
    plain = MixtureSettings(batch=64, seconds=0.5, lowest_gain_db=0.0, vary=False)
    quieter = MixtureSettings(batch=64, seconds=0.5, lowest_gain_db=-12.0, vary=False)
    loud, soft = (level_db(MixtureDraw(noise_library(), s, RATE, 1)(0).mixture) for s in (plain, quieter))
    assert float(loud.max() - loud.min()) < 5.5  # two noises at -5 to 5 dB
    assert 8.0 < float(soft.max() - soft.min()) < 17.5


@pytest.mark.parametrize("settings", [PAIRS, MixtureSettings(batch=6, seconds=0.5, sounds=4)])
def test_no_label_is_twice_in_a_mixture(settings: MixtureSettings) -> None:
    for examples in map(MixtureDraw(noise_library(), settings, RATE, seed=1), range(4)):
        for captions, phrases in zip(examples.captions, examples.phrases, strict=True):
            named = [name for sound in phrases for name in sound] or list(captions)
            assert len(named) == len(set(named)) == 4


def test_some_sounds_are_silent_and_the_first_never_is(library: ClipLibrary) -> None:
    settings = MixtureSettings(batch=40, seconds=0.5, sounds=3, fewest_sounds=1)
    examples = MixtureDraw(library, settings, RATE, seed=1)(0)
    sounding = examples.sounds.abs().amax(dim=-1) > 0  # (B, S)
    counts = sounding.sum(dim=1)
    assert {int(count) for count in counts} == {1, 2, 3}
    assert all(bool(row[:count].all()) for row, count in zip(sounding, counts, strict=True))
    assert torch.equal(examples.mixture, examples.sounds.sum(dim=1))
    assert all(all(captions) for captions in examples.captions)  # silent ones are asked for all the same


def _is_in(crop: torch.Tensor, clip: Clip) -> bool:
    return bool((torch.from_numpy(clip.audio).unfold(0, len(crop), 1) == crop).all(dim=1).any())


def test_exemplars_are_clips_of_the_labels_and_change_nothing_else(library: ClipLibrary) -> None:
    labels = noise_library(labels=6, clips_each=3)
    plain, drawn = (MixtureDraw(labels, SETTINGS, RATE, seed=1, exemplars=asked)(0) for asked in (False, True))
    assert plain.exemplars is None
    assert torch.equal(plain.mixture, drawn.mixture)
    assert drawn.exemplars is not None
    assert drawn.exemplars.shape == drawn.sounds.shape
    heard = list[set[int]]()
    for captions, row in zip(drawn.captions, drawn.exemplars, strict=True):
        for caption, exemplar in zip(captions, row, strict=True):
            own = [index for index, clip in enumerate(labels.clips) if clip.label == caption]
            heard.append({index for index in own if _is_in(exemplar, labels.clips[index])})
    assert all(len(found) == 1 for found in heard)  # each is a crop of a clip of the label,
    assert len(set.union(*heard)) > 6  # and not always of the same one
    with pytest.raises(ValueError, match="2 parts has no label of its own"):
        MixtureDraw(library, PAIRS, RATE, seed=1, exemplars=True)


def test_the_parts_of_a_sound_are_named_and_joined_into_its_caption() -> None:
    examples = MixtureDraw(noise_library(), PAIRS, RATE, seed=1)(0)
    for captions, phrases in zip(examples.captions, examples.phrases, strict=True):
        assert [len(parts) for parts in phrases] == [2, 2]
        assert list(captions) == [" and ".join(parts) for parts in phrases]


@pytest.mark.parametrize("settings", [SETTINGS, PAIRS])
def test_sounds_without_words_stay_without(settings: MixtureSettings) -> None:
    examples = MixtureDraw(noise_library(captioned=False), settings, RATE, seed=1)(0)
    assert {caption for row in examples.captions for caption in row} == {""}


def test_a_sound_of_which_one_part_is_unknown_has_no_caption() -> None:
    known = noise_library()
    half = ClipLibrary(known.clips, {label: [label] for label in known.labels[:2]}, {}, captioned=False)
    examples = MixtureDraw(half, MixtureSettings(batch=16, seconds=0.25, parts=2), RATE, seed=1)(0)
    for captions, phrases in zip(examples.captions, examples.phrases, strict=True):
        for caption, parts in zip(captions, phrases, strict=True):
            assert bool(caption) == all(parts)
    assert any(any(parts) and not all(parts) for row in examples.phrases for parts in row)


def test_unvaried_clips_are_heard_as_they_are() -> None:
    library = noise_library()
    settings = MixtureSettings(batch=2, seconds=1.0, lowest_gain_db=0.0, vary=False)
    examples = MixtureDraw(library, settings, RATE, seed=1)(0)
    for row, names in zip(examples.sounds, examples.captions, strict=True):
        (clip,) = [clip for clip in library.clips if clip.label == names[0]]
        own = torch.from_numpy(clip.audio)
        assert float(torch.nn.functional.cosine_similarity(row[0], own, dim=0)) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(("settings", "needed"), [(MixtureSettings(sounds=5), 5), (MixtureSettings(parts=3), 6)])
def test_too_few_labels_are_said_at_once(library: ClipLibrary, settings: MixtureSettings, needed: int) -> None:
    with pytest.raises(
        FewLabelsError, match=f"parts need {needed} labels, the data have 4 .*add clips of other sounds"
    ):
        MixtureDraw(library, settings, RATE, seed=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch": 0},
        {"sounds": 1},
        {"fewest_sounds": 3},
        {"label_power": 1.5},
        {"parts": 0},
        {"seconds": 0.0},
        {"lowest_snr_db": 9.0},
        {"lowest_gain_db": 1.0},
    ],
    ids=str,
)
def test_settings_that_are_no_mixture_are_refused_by_name(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"self.{name} = {wrong[name]}"):
        MixtureSettings(**wrong)  # type: ignore[arg-type]
