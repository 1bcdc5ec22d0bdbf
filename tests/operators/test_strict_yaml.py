"""YAML is read as it is written, and what is wrong is told with its line."""

from __future__ import annotations

import pytest

from operators.strict_yaml import YamlError, parse_yaml


def test_plain_values_come_back_as_they_are() -> None:
    assert parse_yaml("a: [1, x, null]\nb: {c: 0.5}") == {"a": [1, "x", None], "b": {"c": 0.5}}
    assert parse_yaml("") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", ", line 3, column 1: not valid YAML: the key 'a' is given twice; the line reads 'a: 3'"),
        ("a: {b: 1, b: 2}", "the key 'b' is given twice"),
        ("a: [1\n", "not valid YAML"),
        ("a: !!python/object/apply:os.getcwd []", "not valid YAML: could not determine a constructor"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, said: str) -> None:
    with pytest.raises(YamlError) as caught:
        parse_yaml(text)
    assert said in str(caught.value)
