"""The prompt asks for what the cache reads."""

from __future__ import annotations

from model.captions.prompt import prompt


def test_the_prompt_asks_for_so_many_captions_one_a_line() -> None:
    text = prompt(250)
    assert "Write 250 captions" in text
    assert "One caption a line" in text
    assert "{" not in text
    assert max(map(len, text.splitlines())) <= 120
