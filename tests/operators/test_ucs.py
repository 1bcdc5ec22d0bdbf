"""UCS categories: checked against the list that a person supplies, in the forms that such lists come in."""

from __future__ import annotations

from pathlib import Path

import pytest

from operators.catalog import Catalog, CatalogError, QuerySpec
from operators.ucs import check_categories, read_cat_ids

LISTS = {
    "spreadsheet": "UCS v8.2\n\nCategory,SubCategory,CatID,CatShort\nA,DOG,ANMLDog,ANML\nD,WOOD,DOORWood,DOOR\n",
    "one a line": "ANMLDog\nDOORWood\n",
    "with a mark of its encoding": "\ufeffCatID\nANMLDog\nDOORWood\n",
}


def catalog(*categories: str | None) -> Catalog:
    return Catalog(
        name="c", queries=tuple(QuerySpec(id=f"q{i}", text=f"t{i}", ucs=c) for i, c in enumerate(categories))
    )


@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
def test_lists_are_read_in_every_form(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    assert read_cat_ids(str(tmp_path / "list.csv")) == {"ANMLDog", "DOORWood"}


def test_categories_in_the_list_and_queries_without_one_pass(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("ANMLDog\n")
    check_categories(catalog("ANMLDog", None), str(tmp_path / "list.txt"))


def test_every_unknown_category_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("ANMLDog\nDOORWood\n")
    with pytest.raises(CatalogError) as caught:
        check_categories(catalog("ANMLdog", "Xyz123"), str(tmp_path / "list.txt"))
    assert "query 'q0': ucs 'ANMLdog' is not among the 2" in str(caught.value)
    assert "did you mean 'ANMLDog'?" in str(caught.value)
    assert "query 'q1'" in str(caught.value)


@pytest.mark.parametrize("text", ["", "a list of nothing much\n", "Category,SubCategory\nA,B\n"])
def test_a_file_without_categories_says_what_to_give(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(CatalogError, match="names no CatID: give a CSV with a column 'CatID'"):
        read_cat_ids(str(tmp_path / "list.csv"))


def test_a_list_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="cannot be read"):
        read_cat_ids(str(tmp_path / "none.csv"))


@pytest.mark.parametrize("bad", ["ANML_Dog", "A", "dog bark", ""])
def test_what_cannot_be_a_category_is_refused_by_the_catalog(bad: str) -> None:
    with pytest.raises(ValueError, match="is not a UCS CatID"):
        catalog(bad)


def test_the_category_is_part_of_the_catalogs_hash_only_where_there_is_one() -> None:
    assert catalog(None).content_hash == Catalog(name="c", queries=(QuerySpec(id="q0", text="t0"),)).content_hash
    assert catalog("ANMLDog").content_hash != catalog(None).content_hash


def test_no_query_may_have_the_name_of_the_residual() -> None:
    with pytest.raises(ValueError, match="is the name of what no query takes"):
        QuerySpec(id="residual", text="what is left")
