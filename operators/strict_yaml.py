"""YAML as people write it in catalogs and job files: plain values only, and no key given twice."""

from __future__ import annotations

from typing import Any

import yaml


class YamlError(ValueError):
    """The text is not YAML, or says one thing twice; the message begins with the line, where that is known."""


def parse_yaml(text: str) -> Any:
    """What the text says. Raises YamlError.

    >>> parse_yaml("a: [1, x]")
    {'a': [1, 'x']}
    """
    try:
        return yaml.load(text, Loader=_Loader)  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        line = text.splitlines()[mark.line].strip() if mark and mark.line < len(text.splitlines()) else ""
        raise YamlError(f"{place}: not valid YAML: {error.problem}; the line reads {line!r}") from None
    except yaml.YAMLError as error:
        raise YamlError(f": not valid YAML: {error}") from None


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice; the plain one keeps the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for i, (key, _) in enumerate(node.value):
            if key.value in keys[:i]:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} is given twice", problem_mark=key.start_mark)
        return super().construct_mapping(node, deep=deep)
