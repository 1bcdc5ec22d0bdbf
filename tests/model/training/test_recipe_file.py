"""Recipes as files of differences: what stands over what, and what is said of a recipe that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.training.recipe_file import RecipeError, read_recipe, recipe_names, recipe_of


def written(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", recipe_names())
def test_every_ready_recipe_reads_and_says_what_it_is(name: str) -> None:
    assert read_recipe(name).about.endswith((".", ")"))


def test_every_recipe_has_a_twin_that_trains_within_seconds() -> None:
    names = set(recipe_names())
    twins = {name for name in names if name.endswith("_debug")}
    assert names - twins
    assert twins == {f"{name}_debug" for name in names - twins}
    for name in names - twins:
        recipe, twin = read_recipe(name), read_recipe(f"{name}_debug")
        assert (twin.objective, twin.queries.source) == (recipe.objective, recipe.queries.source)
        assert twin.network.kind == recipe.network.kind
        assert twin.schedule.steps <= 24 < recipe.schedule.steps


def test_files_that_are_only_a_base_are_no_recipes() -> None:
    assert not any(name.startswith("_") for name in recipe_names())


def test_what_is_read_is_read_again_from_its_plain_values() -> None:
    recipe = read_recipe("supervised_clapsep")
    assert recipe_of(recipe.model_dump(mode="json"), "again") == recipe


def test_a_file_stands_over_its_base_key_by_key(tmp_path: Path) -> None:
    below = written(tmp_path, "below", "about: below\nseed: 5\nmixtures: {batch: 3, seconds: 2.0}\n")
    recipe = read_recipe(written(tmp_path, "above", f"base: {below}\nabout: above\nmixtures: {{batch: 7}}\n"))
    assert (recipe.about, recipe.seed, recipe.mixtures.batch, recipe.mixtures.seconds) == ("above", 5, 7, 2.0)


def test_a_later_base_stands_over_an_earlier_one(tmp_path: Path) -> None:
    written(tmp_path, "one", "about: one\nseed: 5\nmixtures: {batch: 3, seconds: 2.0}\n")
    written(tmp_path, "two", "about: two\nmixtures: {batch: 4}\n")
    recipe = read_recipe(written(tmp_path, "both", "base: [one.yaml, two.yaml]\n"))
    assert (recipe.about, recipe.seed, recipe.mixtures.batch, recipe.mixtures.seconds) == ("two", 5, 4, 2.0)


def test_a_base_may_be_a_ready_recipe(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, "mine", "base: audio_only\nseed: 9\n"))
    assert recipe == read_recipe("audio_only").model_copy(update={"seed": 9})


def test_a_list_is_replaced_as_a_whole(tmp_path: Path) -> None:
    text = "base: audio_only\nqueries: {manipulations: [{gaussian_noise: 0.1}]}\n"
    assert read_recipe(written(tmp_path, "mine", text)).queries.manipulations == [{"gaussian_noise": 0.1}]


def test_settings_stand_over_the_file(tmp_path: Path) -> None:
    settings = ["mixtures.batch=8", "schedule.rate=1.0e-4", "queries.retrieval.how=top1", "precision=bfloat16"]
    recipe = read_recipe("retrieval", [*settings, "network.config={widths: [4, 8]}", "network.start=null"])
    assert (recipe.mixtures.batch, recipe.schedule.rate, recipe.queries.retrieval.how) == (8, 1e-4, "top1")
    assert (recipe.precision, recipe.network.config, recipe.network.start) == ("bfloat16", {"widths": [4, 8]}, None)


def test_the_later_of_two_settings_counts() -> None:
    assert read_recipe("supervised", ["seed=3", "seed=4"]).seed == 4


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("mixtures.batch", "--set mixtures.batch: give key=value, such as mixtures.batch=8"),
        ("=8", "give key=value"),
        ("mixtures.batch=[", "the value is not yaml"),
        ("objective.weak=1", "objective is 'weak', it has no keys of its own"),
        ("mixtures.bach=8", "mixtures.bach: "),
        ("mixtures.batch=many", "mixtures.batch: "),
        ("objective=weekly", "objective: Input should be 'supervised', 'weak' or 'semi'"),
        ("schedule.step=8", "schedule.step: there is no such key; did you mean steps?"),
        ("schedule.steps=abc", "parse string as an integer, got 'abc'"),
        ("shedule.steps=8", "shedule: there is no such key; did you mean schedule?"),
        ("mixtures.label_power=7", "mixtures: label_power lies in [0, 1], got label_power = 7.0"),
        ("queries.sauce=text", "queries.sauce: there is no such key; did you mean source?"),
    ],
)
def test_a_setting_that_will_not_do_is_named(setting: str, said: str) -> None:
    with pytest.raises(RecipeError) as refused:
        read_recipe("weak", [setting])
    assert said in str(refused.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(RecipeError, match=r"(?s)recipe weak: .*seed: .*precision: |recipe weak: .*precision: .*seed: "):
        read_recipe("weak", ["seed=-1", "precision=float8"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("base: mine.yaml\n", "is a base of itself"),
        ("base: other.yaml\n", "is a base of itself"),
        ("base: weka\n", "no recipe 'weka' (did you mean weak?)"),
        ("about: [\n", "cannot be read"),
        ("- about\n", "is list, not keys with values"),
        ("", "about: Field required"),
    ],
)
def test_a_file_that_will_not_do_is_named(tmp_path: Path, text: str, said: str) -> None:
    written(tmp_path, "other", "base: mine.yaml\n")
    with pytest.raises(RecipeError) as refused:
        read_recipe(written(tmp_path, "mine", text))
    assert said in str(refused.value)


def test_bytes_that_are_no_text_are_said_to_be_unreadable(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe about")
    with pytest.raises(RecipeError, match=r"mine\.yaml cannot be read"):
        read_recipe(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize(("name", "hint"), [("supervized", "did you mean supervised?"), ("qqq", "one of audio_only, ")])
def test_an_unknown_recipe_is_answered_with_those_there_are(name: str, hint: str) -> None:
    with pytest.raises(RecipeError, match=f"no recipe '{name}'") as refused:
        read_recipe(name)
    assert hint in str(refused.value)
