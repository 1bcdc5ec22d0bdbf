"""An address that cannot be called is told to be wrong, and no other."""

from __future__ import annotations

import pytest

from workflows.commands.web_address import without_user, wrong_address

GOOD = [
    "http://gateway:9091", "https://gateway.monitoring.svc", "http://127.0.0.1:9091/", "http://[::1]:9091/x",
    "http://me:secret@gateway", "http://bücher.example", "HTTP://Gateway",
]  # fmt: skip
BAD = [
    ("", "does not begin with http://"), ("gateway:9091", "does not begin with http://"),
    ("ftp://gateway", "does not begin with http://"), ("http:/gateway", "does not begin with http://"),
    ("http://", "no host"), ("http://:9091", "no host"), ("http:///x", "no host"), ("http://[oops", "Invalid IPv6 URL"),
    ("http://a..b:9091", "is empty or too long"), (f"http://{'a' * 70}:9091", "is empty or too long"),
    ("http://a b:9091", "space"), ("http://a\n:9091", "space"), ("http://\x00x", "space"),
    ("http://gateway:port", "Port could not be cast"), ("http://gateway:99999", "Port out of range"),
    ("http://gateway:0", "no port 0"),
]  # fmt: skip


@pytest.mark.parametrize("address", GOOD)
def test_what_can_be_called_is_right(address: str) -> None:
    assert wrong_address(address) == ""


@pytest.mark.parametrize(("address", "said"), BAD)
def test_what_cannot_be_called_is_told_why(address: str, said: str) -> None:
    assert said in wrong_address(address)


@pytest.mark.parametrize("address", ["http://me:secret@gateway:9091", "http://me:s@cret@gateway", "//secret@h"])
def test_a_password_is_not_shown(address: str) -> None:
    assert "cret" not in without_user(address)
    assert without_user("http://gateway/x@y") == "http://gateway/x@y"
