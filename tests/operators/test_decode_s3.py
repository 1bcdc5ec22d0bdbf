"""Decoding out of a bucket: sources are listed there, and a large object is fetched once for all of its units."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_archives import tar_of, zip_of
from made_manifests import listed, write_manifest
from made_media import chirp, encode, pieces_of, plain_decode, span
from s3_store import s3_files, s3_server

from operators.decode import Decode
from operators.sources import list_sources


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The file system of the store."""
    with s3_files(endpoint, monkeypatch) as files:
        yield files


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_manifest_lies_in_a_bucket_beside_its_sources(bucket: Any, tmp_path: Path, kind: str) -> None:
    bucket.makedirs(kind)
    manifest = write_manifest(tmp_path / f"m.{kind}", [{"uri": "a.wav", "tags": ["dog"]}, {"uri": "b/c.wav"}])
    bucket.put(str(manifest), f"{kind}/m.{kind}")
    bucket.pipe({f"{kind}/a.wav": b"sound", f"{kind}/b/c.wav": b"sound"})
    found = [(source.uri, source.tags) for source in listed(f"s3://{kind}/m.{kind}")]
    assert found == [(f"s3://{kind}/a.wav", ("dog",)), (f"s3://{kind}/b/c.wav", ())]


def test_bucket_is_listed_and_decoded_and_large_objects_are_fetched_once(bucket: Any, tmp_path: Path) -> None:
    bucket.mkdir("archive")
    large = encode(tmp_path / "large.wav", chirp(44_100, 60), 44_100)
    small = encode(tmp_path / "small.ogg", chirp(44_100, 2), 44_100)
    bucket.put(str(large), "archive/a/large.wav")
    bucket.put(str(small), "archive/small é.ogg")
    packed = tar_of([("in.zip", zip_of([("klänge.ogg", small.read_bytes())], deflated=True))])
    bucket.pipe("archive/z.tar", packed)

    sources = list(list_sources(["s3://archive"]))
    assert [source.uri for source in sources] == [
        "s3://archive/a/large.wav", "s3://archive/small é.ogg", "zip://klänge.ogg::tar://in.zip::s3://archive/z.tar",
    ]  # fmt: skip
    scratch = tmp_path / "scratch"
    decode = Decode(scratch=str(scratch))
    units = [pieces_of(decode, sources[0], 0, a, b)[0] for a, b in ((0.0, 30.0), (30.0, 60.0))]
    assert np.array_equal(np.concatenate([span(unit) for unit in units]), plain_decode(large, 2))
    for source in sources[1:]:
        assert np.array_equal(span(pieces_of(decode, source)[0]), plain_decode(small, 2))
    assert [path.stat().st_size for path in scratch.iterdir() if not path.suffix] == [large.stat().st_size]
