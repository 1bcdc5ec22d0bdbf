"""The folder that a Ray job runs in: this program's own packages and the job's files, and nothing else.

Its workers then run the code that submitted the job, whatever the image of the cluster holds.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from workflows.jobs.job_service import JobError

ROOT: Final = Path(__file__).parents[3]
PACKAGES: Final = ("model", "operators", "workflows")
MOST_BYTES: Final = 100 * 2**20
"""What the head takes in one request (Ray 2.60, DASHBOARD_CLIENT_MAX_SIZE). The code and the model are 17 MB of it."""


@contextlib.contextmanager
def shipped_code(files: Mapping[str, bytes]) -> Iterator[Path]:
    """A temporary folder with the packages and the files. Raises JobError where it is more than a head takes."""
    with tempfile.TemporaryDirectory(prefix="soundquarry-job-") as name:
        folder = Path(name)
        for package in PACKAGES:
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "*.py[co]"))
        for file, content in files.items():
            (folder / file).write_bytes(content)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        if size > MOST_BYTES:
            raise JobError(
                f"the job is {size / 2**20:.0f} MiB with its code, and a Ray head takes {MOST_BYTES // 2**20} at most: "
                "put the catalog's recordings into a bucket, and name them by URL"
            )
        yield folder
