"""What is wrong with a catalog, in words: where in it, what was found, and what to write instead.

Made of what pydantic finds; an unknown key is answered with the known one that is closest.
"""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import BaseModel


def explained(
    detail: Any, content: dict[str, Any], where: str, catalog: type[BaseModel], query: type[BaseModel]
) -> str:
    """One mistake in a sentence: the file, the query, what was found and what to write instead.

    `detail` is one of a ValidationError, `content` what was validated; the two models say which keys are known.
    """
    place, key = _place(detail["loc"], content, query), str(detail["loc"][-1]) if detail["loc"] else ""
    found = repr(detail.get("input"))
    found = found if len(found) <= 80 else found[:77] + "..."
    match detail["type"]:
        case "extra_forbidden":
            allowed = list((query if len(detail["loc"]) > 1 else catalog).model_fields)
            close = difflib.get_close_matches(key, allowed, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "known are " + ", ".join(allowed)
            said = f"unknown key {key!r}: {hint}"
        case "missing" if key == "queries":
            said = "there is no 'queries': write 'queries:' and below it a list such as '- a dog barking'"
        case "missing":
            said = f"there is no {key!r}: add it, such as '{key}: dog'"
        case "string_type":
            said = f"expected text, found {found}: put it in quotes"
        case "greater_than_equal" | "less_than_equal" | "float_type" | "float_parsing" | "finite_number":
            kind = "probability" if key == "threshold" else "share"
            said = f"{key} is {found}: it is a {kind}, give a number from 0 to 1"
        case "value_error":
            said = detail["msg"].removeprefix("Value error, ")
        case "tuple_type":
            said = f"expected a text or a list, found {found}"
        case "model_type" | "model_attributes_type":
            said = f"expected a text or a mapping with id and text, found {found}"
        case _:
            said = f"{detail['msg']}, found {found}"
    return f"{where}: {place}{said}"


def _place(location: tuple[str | int, ...], content: dict[str, Any], query: type[BaseModel]) -> str:
    if len(location) < 2 or not isinstance(location[1], int):
        return ""
    entry = content["queries"][location[1]]
    name = f" ({entry['id']!r})" if isinstance(entry, dict) and "id" in entry else ""
    fields = [str(part) for part in location[2:3]]
    return f"query {location[1] + 1}{name}: " + "".join(f"{field}: " for field in fields if field in query.model_fields)
