"""A machine on which nobody has told any credentials for buckets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def without_credentials(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No keys in the environment or in files, and nobody to ask for some; skips where s3fs is not installed."""
    s3fs = pytest.importorskip("s3fs")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(folder / "none"))
    s3fs.S3FileSystem.clear_instance_cache()
