"""A store on this machine that speaks the S3 protocol, by moto; skips where it or s3fs is not installed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """The address of an empty store."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextlib.contextmanager
def s3_files(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The file system of the store at an address, which is the one that `s3://` means meanwhile."""
    s3fs = pytest.importorskip("s3fs")
    keys = {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test"}
    for name, value in {"ENDPOINT_URL": address, "DEFAULT_REGION": "us-east-1", **keys}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()
    yield s3fs.S3FileSystem()
    s3fs.S3FileSystem.clear_instance_cache()
