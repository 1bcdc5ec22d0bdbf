"""Examples on their way from the mixing actors to a worker: the same as if it had drawn them itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from small_model import RATE
from tone_library import tone_library

from model.training.clips import ClipLibrary
from model.training.examples import Examples
from model.training.mixtures import MixtureDraw, MixtureSettings
from workflows.training.feed import AHEAD, Feed, packed, unpacked


def draws(*, captioned: bool = True) -> tuple[MixtureDraw, ...]:
    """Two parts of other shapes, as in semi-supervised training."""
    library = tone_library()
    if not captioned:
        library = ClipLibrary(library.clips, {}, {}, captioned=False)
    weak = MixtureDraw(library, MixtureSettings(batch=3, seconds=0.25, parts=2), RATE, seed=1)
    return weak, MixtureDraw(library, MixtureSettings(batch=2, seconds=0.5), RATE, seed=2)


def expect_equal(one: Examples, other: Examples) -> None:
    assert torch.equal(one.sounds, other.sounds)
    assert torch.equal(one.mixture, other.mixture)
    assert (one.captions, one.phrases, one.sample_rate) == (other.captions, other.phrases, other.sample_rate)


@pytest.mark.parametrize("captioned", [True, False])
def test_what_is_packed_is_unpacked_to_the_bit(captioned: bool) -> None:
    parts = [draw(4) for draw in draws(captioned=captioned)]
    for part, again in zip(parts, unpacked(packed(parts)), strict=True):
        expect_equal(part, again)


def test_exemplars_travel_along() -> None:
    given = draws()[0](4)
    given = replace(given, exemplars=given.sounds.flip(0))
    (again,) = unpacked(packed([given]))
    expect_equal(given, again)
    assert torch.equal(again.exemplars, given.exemplars)


def test_what_is_unpacked_may_be_written_to() -> None:
    parts = packed([draws()[0](0)])
    parts[0]["sounds"].setflags(write=False)  # as they come out of the object store
    (examples,) = unpacked(parts)
    examples.sounds.zero_()
    assert not examples.sounds.any()


def test_a_finished_run_needs_no_examples() -> None:
    feed = Feed(None, first=5, steps=5, worker=0, mixers=1, device=torch.device("cpu"))
    with pytest.raises(ValueError, match="steps come in their order, the next is 5, got 4"):
        feed(4)
    assert feed.waited_seconds == 0.0


@pytest.fixture(scope="module")
def reference() -> Iterator[object]:
    import ray

    ray.init(num_cpus=3, include_dashboard=False, ignore_reinit_error=True, object_store_memory=100 * 2**20)
    try:
        yield ray.put(draws())
    finally:
        ray.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize(("first", "worker", "mixers"), [(0, 0, 1), (3, 1, 2)])
def test_over_ray_a_worker_sees_its_own_steps_in_their_order(
    reference: object, first: int, worker: int, mixers: int
) -> None:
    steps = first + 2 * AHEAD + 3
    feed = Feed(reference, first=first, steps=steps, worker=worker, mixers=mixers, device=torch.device("cpu"))
    for step in range(first, steps):
        for own, fed in zip(draws(), feed(step), strict=True):
            expect_equal(own(step, worker), fed)
    assert feed.waited_seconds > 0.0


class Deadly(MixtureDraw):
    """A draw whose third step ends the process."""

    def __call__(self, step: int, worker: int = 0) -> Examples:
        if step == 3:
            os._exit(1)
        return super().__call__(step, worker)


@pytest.mark.slow
def test_a_step_that_ends_every_actor_ends_the_feed(reference: object) -> None:
    import ray

    deadly = Deadly(tone_library(), MixtureSettings(batch=2, seconds=0.25), RATE, seed=1)
    feed = Feed(ray.put((deadly,)), first=0, steps=9, worker=0, mixers=1, device=torch.device("cpu"))
    with pytest.raises(ray.exceptions.RayActorError):
        for step in range(9):
            feed(step)


@pytest.mark.slow
def test_a_lost_mixing_actor_is_made_anew_and_no_step_is_lost(reference: object) -> None:
    import ray

    feed = Feed(reference, first=0, steps=12, worker=0, mixers=2, device=torch.device("cpu"))
    for step in range(12):
        if step == 3:
            ray.kill(feed._mixers[0], no_restart=False)
        for own, fed in zip(draws(), feed(step), strict=True):
            expect_equal(own(step), fed)
