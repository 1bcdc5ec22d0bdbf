"""Exemplars: recordings that a catalog asks with. Where they lie, whether they are there, and what their bytes are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import fsspec


def beside(uri: str, catalog_uri: str) -> str:
    """The absolute path or URI of an exemplar; one that is relative lies beside the catalog."""
    if "://" in uri:
        return uri
    if "://" in catalog_uri:
        return uri if Path(uri).is_absolute() else catalog_uri.rpartition("/")[0] + "/" + uri
    return str((Path(catalog_uri).absolute().parent / Path(uri).expanduser()).resolve())


def is_file(uri: str) -> bool:
    """Whether a file is there."""
    filesystem, path = fsspec.core.url_to_fs(uri)
    return bool(filesystem.isfile(path))


def sha256_of(uri: str) -> str:
    """The SHA-256 of its bytes, in hex."""
    digest = hashlib.sha256()
    with fsspec.open(uri, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
