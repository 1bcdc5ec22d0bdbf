"""The page on training lists the recipes that there are, in their own words, and the options of its command."""

from __future__ import annotations

import re

from model.training.recipe_file import read_recipe, recipe_names
from workflows.jobs.job_fields import fields_of
from workflows.recipe_table import PAGE, recipes_table, with_recipes


def test_the_page_holds_the_recipes_as_they_are() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == with_recipes(text), "run python -m workflows.recipe_table"


def test_every_recipe_has_a_row_or_is_a_twin_of_one_that_has() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", recipes_table(), re.MULTILINE))
    assert {name.removesuffix("_debug") for name in recipe_names()} == rows.keys()
    assert rows["weak"] == read_recipe("weak").about


def test_what_the_page_asks_train_for_are_options_of_it() -> None:
    asked = re.findall(r"^    soundquarry train .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    options = {option for line in asked for option in re.findall(r"--([a-z-]+)", line)}
    assert len(asked) > 8
    assert options <= {name.replace("_", "-") for name in fields_of("train")} | {"show", "address"}
    named = {line.split()[2] for line in asked if len(line.split()) > 2} & set(recipe_names())
    assert {"supervised", "retrieval", "weak"} <= named
