"""The library of clips: a fair draw, captions that fit, and what cannot be drawn is said."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from model.training.clips import Clip, ClipLibrary, content_position

WORDINGS = {"dog": ["dog", "a dog barks"], "cat": ["cat", "a cat meows"], "bell": ["bell"], "rain": ["rain"]}
GROUPS = {"animals": (["dog", "cat"], ["an animal"]), "weather": (["rain"], ["bad weather"])}


def clip(label: str, value: int = 1000) -> Clip:
    return Clip(label, np.full(100, value, np.int16))


def library(**counts: int) -> ClipLibrary:
    clips = [clip(label, 100 * k) for label, count in counts.items() for k in range(count)]
    return ClipLibrary(clips, WORDINGS, GROUPS)


def test_sounds_are_floats_within_one() -> None:
    loudest = Clip("dog", np.array([-32768, 32767, 0], np.int16)).audio
    assert loudest.dtype == np.float32
    assert loudest[0] == -1.0
    assert 0.9999 < loudest[1] < 1.0


def test_labels_with_many_clips_are_drawn_more_often_but_far_less_than_in_proportion() -> None:
    many = library(dog=100, bell=1)
    generator = np.random.default_rng(0)
    drawn = Counter(many.draw_label(generator) for _ in range(2000))
    assert 5 < drawn["dog"] / drawn["bell"] < 15  # 40 ** 0.6 = 9.1
    assert many.weights.sum() == pytest.approx(1.0)


def test_no_label_is_drawn_that_is_left_out() -> None:
    small = library(dog=3, cat=1, bell=2)
    generator = np.random.default_rng(0)
    assert {small.draw_label(generator, besides=["dog"]) for _ in range(100)} == {"cat", "bell"}
    with pytest.raises(ValueError, match="there is no label besides dog, cat, bell; add clips"):
        small.draw_label(generator, besides=["dog", "cat", "bell"])


def test_a_drawn_clip_has_the_label() -> None:
    small = library(dog=3, cat=2, bell=1)
    generator = np.random.default_rng(0)
    for label in ("dog", "cat", "bell"):
        drawn = {small.draw_clip(label, generator) for _ in range(50)}
        assert drawn == {i for i, clip in enumerate(small.clips) if clip.label == label}


def test_a_groups_caption_is_never_drawn_when_another_sound_belongs_to_the_group() -> None:
    small = library(dog=1, cat=1, bell=1)
    generator = np.random.default_rng(0)
    alone = {small.draw_caption("dog", generator, others=["bell"], group_share=0.5) for _ in range(200)}
    beside_a_cat = {small.draw_caption("dog", generator, others=["cat"], group_share=0.5) for _ in range(200)}
    assert alone == {"dog", "a dog barks", "an animal"}
    assert beside_a_cat == {"dog", "a dog barks"}
    assert {small.draw_caption("bell", generator, group_share=1.0) for _ in range(20)} == {"bell"}


def test_a_caption_fits_its_label_and_the_labels_of_its_group() -> None:
    small = library(dog=1, cat=1, bell=1)
    assert small.fits("a dog barks", "dog")
    assert not small.fits("a dog barks", "cat")
    assert small.fits("an animal", "dog")
    assert small.fits("an animal", "cat")
    assert not small.fits("an animal", "bell")


def test_every_caption_has_one_row() -> None:
    small = library(dog=1, bell=1)
    assert small.captions == sorted(set(small.captions))
    assert [small.caption_row[caption] for caption in small.captions] == list(range(len(small.captions)))
    assert {"dog", "a dog barks", "bell", "an animal"} <= set(small.captions)


def test_the_same_seed_draws_the_same() -> None:
    small = library(dog=5, cat=3, bell=2, rain=1)

    def draws(seed: int) -> list[object]:
        generator = np.random.default_rng(seed)
        labels = [small.draw_label(generator) for _ in range(20)]
        return [(label, small.draw_clip(label, generator), small.draw_caption(label, generator)) for label in labels]

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)


def test_labels_without_a_caption_are_named() -> None:
    with pytest.raises(ValueError, match=r"labels without a caption: \['zither'\] \(1 in all\)"):
        ClipLibrary([clip("dog"), clip("zither")], WORDINGS, {})


def test_only_keeps_clips_with_their_words_and_groups() -> None:
    whole = library(dog=3, cat=2, bell=1)
    part = whole.only(lambda clip: clip.label != "bell")
    assert part.labels == ["cat", "dog"]
    assert all(any(one is other for other in whole.clips) for one in part.clips)
    assert part.wordings == {label: WORDINGS[label] for label in ("cat", "dog")}
    assert part.fits("an animal", "dog")
    assert (part.power, part.cap) == (whole.power, whole.cap)
    assert len(whole.clips) == 6  # as it was
    assert whole.only(lambda clip: False).labels == []


def test_a_place_by_content_is_even_and_knows_nothing_but_the_sound() -> None:
    random = np.random.default_rng(0)
    sounds = [random.integers(-9, 9, 50).astype(np.int16) for _ in range(400)]
    places = np.array([content_position(Clip("a", sound), "one") for sound in sounds])
    assert (places >= 0.0).all()
    assert (places < 1.0).all()
    assert np.histogram(places, bins=4, range=(0, 1))[0] == pytest.approx(np.full(4, 100), abs=35)
    assert content_position(Clip("b", sounds[0].copy()), "one") == places[0]
    assert content_position(Clip("a", sounds[0]), "another") != places[0]
    assert content_position(Clip("a", np.append(sounds[0], np.int16(0))), "one") != places[0]
    siblings = [content_position(Clip("a", sound, group="g"), "one") for sound in sounds[:5]]
    assert len(set(siblings)) == 1  # what was cut from one recording stays together


def test_labels_without_words_are_asked_for_in_none_where_that_is_allowed() -> None:
    mixed = ClipLibrary([clip("dog"), clip("zither")], WORDINGS, GROUPS, captioned=False)
    generator = np.random.default_rng(0)
    assert {mixed.draw_caption("zither", generator) for _ in range(50)} == {""}
    assert "" not in {mixed.draw_caption("dog", generator) for _ in range(50)}
    assert "" not in mixed.captions
    assert not mixed.fits("", "zither")
