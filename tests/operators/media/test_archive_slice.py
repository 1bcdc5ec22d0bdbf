"""A chained URI taken apart."""

from __future__ import annotations

import pytest

from operators.buckets import decoded_bytes
from operators.media.archive_slice import archive_slice, layers


@pytest.mark.parametrize(
    "parts",
    [
        ["/a.wav"],
        ["/x/a::b.wav"],
        ["s3://bucket/a::b.wav"],
        ["zip://a.wav", "/x.zip"],
        ["zip://a.wav", "x.zip"],
        ["zip://a::b.wav", "/x.zip"],
        ["zip:///abs.wav", "/x.zip"],
        ["tar://a.wav", "zip://in::ner.tar", "s3://bucket/out::er.zip"],
        ["tar://a.wav", "zip://inner.tar", "~/outer.zip"],
        ["tar://a.wav", "zip://inner.tar", "outer.zip"],
        ["zip://a.wav"],
    ],
)
def test_layers_are_the_parts_of_the_chain(parts: list[str]) -> None:
    assert layers("::".join(parts)) == parts


def test_names_with_colons_are_read_by_their_own_archive() -> None:
    part = archive_slice("tar://a::b.wav::/x::y/c.tar", "7-1@512+100")
    assert part is not None
    assert part.home_uri == "/x::y/c.tar"


def test_size_is_guessed_from_the_members_own_extension() -> None:
    assert decoded_bytes("/x/a.mp3::b.wav", 100) == decoded_bytes("zip://a::b.wav::/x.zip", 100) == 400
