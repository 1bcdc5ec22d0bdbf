"""UCS, the Universal Category System of sound effects: a catalog's categories, checked against the user's own list.

The list is the users' (it is published by its authors, and grows): a CSV with a column `CatID`, as their spreadsheet
exports it, or one CatID a line.
"""

from __future__ import annotations

import csv
import difflib
from typing import Final

import fsspec

from operators.catalog import CAT_ID_PATTERN, Catalog, CatalogError

COLUMN: Final = "CatID"


def check_categories(catalog: Catalog, list_uri: str) -> None:
    """Raises CatalogError naming every query whose category is not in the list, with the nearest one that is."""
    known = read_cat_ids(list_uri)
    folded = {cat_id.lower(): cat_id for cat_id in known}
    wrong = []
    for query in catalog.queries:
        if query.ucs is not None and query.ucs not in known:
            close = difflib.get_close_matches(query.ucs.lower(), folded, n=1)
            hint = f"; did you mean {folded[close[0]]!r}?" if close else ""
            wrong.append(f"query {query.id!r}: ucs {query.ucs!r} is not among the {len(known)} of {list_uri}{hint}")
    if wrong:
        raise CatalogError("\n".join(wrong))


def read_cat_ids(uri: str) -> frozenset[str]:
    """The CatIDs of a list. Raises CatalogError for a file without any."""
    try:
        with fsspec.open(uri, "rt", encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (OSError, ValueError, ImportError) as error:
        raise CatalogError(f"the list of categories {uri!r} cannot be read: {error}") from error
    header = next((at for at, row in enumerate(rows) if COLUMN in (cell.strip() for cell in row)), None)
    if header is None:
        cells = [row[0].strip() for row in rows if len(row) == 1]
    else:  # their spreadsheet has lines above the names of its columns
        column = [cell.strip() for cell in rows[header]].index(COLUMN)
        cells = [row[column].strip() for row in rows[header + 1 :] if len(row) > column]
    found = frozenset(cell for cell in cells if CAT_ID_PATTERN.fullmatch(cell))
    if not found:
        raise CatalogError(
            f"{uri!r} names no CatID: give a CSV with a column {COLUMN!r}, or a text with one CatID a line (ANMLDog)"
        )
    return found
