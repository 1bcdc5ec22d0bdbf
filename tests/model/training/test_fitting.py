"""Whole runs in this process: every ready recipe learns, and a run is the same twice, and after an interruption."""

from __future__ import annotations

import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from small_model import RATE, SEPARATOR, small_clap
from tone_library import tone_library
from torch import Tensor, nn

from model.registry import load_model
from model.separator import Condition, Features, Mask
from model.synthesis import SYNTHESIS_CAPTIONS
from model.towers import Towers
from model.training.clips import ClipLibrary
from model.training.fitting import Fitted, fit, fitted_of, train_parts, validation_of
from model.training.networks import build_network
from model.training.recipe import Recipe
from model.training.recipe_file import read_recipe, recipe_names, recipe_of
from model.training.schemes import draws_of, parts_of, task_of
from model.training.training_state import Row, State, StateFile
from workflows.training.clip_library import gather
from workflows.training.clip_list import ClipRules

TWINS = [name for name in recipe_names() if name.endswith("_debug")]
HEARD = {"dog", "helicopter", "rain", "flute", "clock_tick", "doorbell"}
CONFIG = {name: value for name, value in asdict(SEPARATOR).items() if name != "embedding"}
SMALL: dict[str, Any] = {
    "about": "A run within a second.",
    "network": {"config": CONFIG},
    "mixtures": {"batch": 2, "seconds": 1.0},
    "queries": {"exemplar": "varied"},
    "schedule": {
        "steps": 8,
        "rate": 0.01,
        "warmup_steps": 2,
        "average": 0.5,
        "save_every": 3,
        "log_every": 2,
        "validate_every": 4,
    },
    "validation_mixtures": 4,
}


class Killed(Exception):
    """Stands for what ends a run in the middle of it."""


def quiet(row: Row) -> None:
    pass


def without_times(curve: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != "seconds_per_step"} for row in curve]


@pytest.fixture(scope="module")
def towers() -> Towers:
    return load_model("mini").clap.requires_grad_(False)


@pytest.fixture(scope="module")
def libraries() -> dict[int, ClipLibrary]:
    """Two synthesised clips of six labels, at the rates of the ready recipes."""
    rules = ClipRules(frozenset(SYNTHESIS_CAPTIONS) - HEARD)
    return {rate: gather(["synthesis"], rules, rate, synthetic_per_label=2).library for rate in (16_000, 32_000)}


@torch.no_grad()
def loss_of(recipe: Recipe, network: nn.Module, library: ClipLibrary, towers: Towers, steps: int = 3) -> float:
    """Mean loss of a network on the mixtures that the first steps see."""
    copied: Any = copy.deepcopy(network).train()
    draws = draws_of(recipe, library, copied.sample_rate)
    task = task_of(parts_of(recipe, copied, towers, draws[0]), lambda step: tuple(d(step) for d in draws), recipe.seed)
    return sum(float(task(step)["loss"]) for step in range(steps)) / steps


@pytest.mark.parametrize("name", TWINS)
def test_every_recipe_learns_within_seconds(
    name: str, towers: Towers, libraries: dict[int, ClipLibrary], tmp_path: Path
) -> None:
    recipe = read_recipe(name)
    fresh = build_network(recipe.network, towers, recipe.seed)
    library = libraries[fresh.sample_rate]
    fitted = fit(recipe, library, towers, StateFile(tmp_path / "run.pt"), validation=library, on_log=quiet)
    assert [row["step"] for row in fitted.curve][-1] == recipe.schedule.steps
    assert torch.tensor([value for row in fitted.curve for value in row.values()]).isfinite().all()
    assert fitted.score is not None
    before, after = (loss_of(recipe, network, library, towers) for network in (fresh, fitted.network))
    assert after < before


def small_fit(path: Path, recipe: Recipe | None = None, **options: Any) -> Fitted:
    library = tone_library()
    return fit(
        recipe or recipe_of(SMALL, "small"),
        library,
        small_clap(),
        options.pop("store", StateFile(path)),
        validation=library,
        on_log=options.pop("on_log", quiet),
    )


def test_a_run_is_the_same_twice(tmp_path: Path) -> None:
    one, same = small_fit(tmp_path / "one.pt"), small_fit(tmp_path / "same.pt")
    for row, again in zip(without_times(one.curve), without_times(same.curve), strict=True):
        assert row == pytest.approx(again, abs=1e-6)
    assert one.score == pytest.approx(same.score, abs=1e-6)
    for name, value in one.network.state_dict().items():
        assert torch.allclose(value, same.network.state_dict()[name], atol=1e-6), name


def test_a_network_that_is_given_is_the_one_that_trains(tmp_path: Path) -> None:
    recipe = recipe_of(SMALL, "small")
    other = build_network(recipe.network, small_clap(), seed=9)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    fitted = fit(recipe, tone_library(), small_clap(), StateFile(tmp_path / "run.pt"), network=other, on_log=quiet)
    moved = max(float((value - before[name]).abs().max()) for name, value in other.state_dict().items())
    apart = max(float((value - before[name]).abs().max()) for name, value in fitted.network.state_dict().items())
    assert moved > 0
    assert 0 < apart < 2 * moved  # the average of its steps, far nearer to it than another seed's


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    one, other = (small_fit(tmp_path / f"{seed}.pt", recipe_of({**SMALL, "seed": seed}, "small")) for seed in (1, 2))
    assert without_times(one.curve) != without_times(other.curve)


@pytest.mark.parametrize("kill_at", [2, 6])
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(tmp_path: Path, kill_at: int) -> None:
    def killed(row: Row) -> None:
        if row["step"] == kill_at:
            raise Killed

    whole = small_fit(tmp_path / "whole.pt")
    with pytest.raises(Killed):
        small_fit(tmp_path / "killed.pt", on_log=killed)
    resumed = small_fit(tmp_path / "killed.pt")
    for row, again in zip(without_times(whole.curve), without_times(resumed.curve), strict=True):
        assert again == pytest.approx(row, abs=1e-5)
    assert resumed.score == pytest.approx(whole.score, abs=1e-5)


def test_manipulations_that_are_fitted_are_the_same_after_an_interruption(tmp_path: Path) -> None:
    fitted = {"source": "audio", "manipulations": [{"mean_gap_shift": 1.0}, {"pca_truncation": 4}]}
    recipe = recipe_of({**SMALL, "queries": fitted}, "small")

    def killed(row: Row) -> None:
        if row["step"] == 4:
            raise Killed

    whole = small_fit(tmp_path / "whole.pt", recipe)
    with pytest.raises(Killed):
        small_fit(tmp_path / "killed.pt", recipe, on_log=killed)
    resumed = small_fit(tmp_path / "killed.pt", recipe)
    for row, again in zip(without_times(whole.curve), without_times(resumed.curve), strict=True):
        assert again == pytest.approx(row, abs=1e-5)


def test_the_best_average_is_what_a_run_leaves(tmp_path: Path) -> None:
    recipe, library, towers = recipe_of(SMALL, "small"), tone_library(), small_clap().requires_grad_(False)
    network = build_network(recipe.network, towers, recipe.seed)
    draws, seen = draws_of(recipe, library, RATE), list[dict[str, Tensor]]()

    def validate(average: nn.Module) -> Row:
        seen.append({name: value.clone() for name, value in average.state_dict().items()})
        return {"score": (3.0, 1.0)[len(seen) - 1]}

    state = train_parts(
        recipe,
        network,
        towers,
        draws,
        lambda step: tuple(draw(step) for draw in draws),
        StateFile(tmp_path / "run.pt"),
        validate=validate,  # type: ignore[arg-type]
        on_log=quiet,
    )
    fitted = fitted_of(state)
    assert fitted.score == 3.0
    assert not fitted.network.training
    own = fitted.network.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in seen[0].items())
    assert any(not torch.equal(value, own[name]) for name, value in seen[1].items())


def test_the_score_is_that_of_the_network_that_is_left(tmp_path: Path) -> None:
    fitted = small_fit(tmp_path / "run.pt")
    scores = [row["validation_score"] for row in fitted.curve if "validation_score" in row]
    assert len(scores) == 2
    assert fitted.score == pytest.approx(max(scores), abs=1e-4)
    validation = validation_of(recipe_of(SMALL, "small"), tone_library(), small_clap(), RATE)
    assert validation(fitted.network)["score"] == pytest.approx(fitted.score, abs=1e-4)


def test_a_network_that_gives_back_the_mixture_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def everything(features: Features, condition: Condition) -> Mask:
        return Mask(torch.ones_like(mask(features, condition).bands))

    recipe = recipe_of(SMALL, "small")
    network = build_network(recipe.network, small_clap(), seed=1)
    mask = network.mask
    monkeypatch.setattr(network, "mask", everything)
    scores = validation_of(recipe, tone_library(), small_clap(), RATE)(network)
    assert scores["score"] == pytest.approx(0.0, abs=0.05)
    assert scores["snr_sdri_db"] == pytest.approx(0.0, abs=0.05)


def test_nothing_validated_leaves_no_score(tmp_path: Path) -> None:
    class Forgetful(StateFile):
        def save(self, state: State) -> None:
            assert state["best"] is None

    recipe = recipe_of({**SMALL, "schedule": {**SMALL["schedule"], "steps": 2}}, "small")
    fitted = fit(recipe, tone_library(), small_clap(), Forgetful(tmp_path / "run.pt"), on_log=quiet)
    assert fitted.score is None
    assert not any(name.startswith("validation_") for row in fitted.curve for name in row)
