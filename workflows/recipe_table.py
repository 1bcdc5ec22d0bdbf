"""The table of ready recipes in docs/training.md, made from what they say of themselves: `python -m
workflows.recipe_table` writes it anew.

Their debug twins, which train within seconds, are told of once and not in rows of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from model.training.recipe_file import read_recipe, recipe_names

PAGE: Final = Path(__file__).parent.parent / "docs" / "training.md"
BEGIN: Final = "<!-- recipes, made by python -m workflows.recipe_table -->"
END: Final = "<!-- end of recipes -->"
TWIN: Final = "_debug"


def recipes_table() -> str:
    """A Markdown table of name, objective, network and what the recipe is, one row per recipe that is no twin."""
    rows = ["| recipe | objective | network | what it is |", "|---|---|---|---|"]
    for name in recipe_names():
        if not name.endswith(TWIN):
            recipe = read_recipe(name)
            rows.append(f"| `{name}` | {recipe.objective} | `{recipe.network.kind}` | {recipe.about} |")
    return "\n".join(rows)


def with_recipes(page: str) -> str:
    """The page with the table between its marks replaced."""
    head, rest = page.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n{recipes_table()}\n{END}{tail}"


def main() -> None:
    """Rewrite docs/training.md."""
    PAGE.write_text(with_recipes(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
