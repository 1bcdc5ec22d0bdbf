"""The sources that one file stands for: itself, or the members of the archive that it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from operators.listing import Info
from operators.media.archive_members import archive_members, compressed_archive
from operators.media.archive_slice import layers
from operators.media.names import ARCHIVE_EXTENSIONS, extension, is_compressed_archive
from operators.source import Source, place_of, uri_of, version_of


def sources_of_file(fs: Any, info: Info) -> Iterator[Source]:
    """The file of a listing's entry, whatever its extension, or the media in it."""
    uri, version, size_bytes = uri_of(fs, info["name"]), version_of(info), info["size"]
    if is_compressed_archive(uri):
        yield Source(uri, version, size_bytes, compressed_archive(uri))
    elif extension(uri) in ARCHIVE_EXTENSIONS:
        for member in archive_members(fs, info["name"], uri, version, size_bytes):
            yield Source(member.uri, member.version, member.size_bytes, member.problem)
    else:
        yield Source(uri, version, size_bytes)


def canonical_member(uri: str) -> tuple[str, str]:
    """The URI of a member of an archive as listing writes it, and the outermost file.

    >>> canonical_member("zip://a.wav::tar://inner.zip::file:///outer.tar")
    ('zip://a.wav::tar://inner.zip::/outer.tar', '/outer.tar')
    """
    *inner, home = layers(uri)
    home = uri_of(*place_of(home))
    return "::".join([*inner, home]), home
