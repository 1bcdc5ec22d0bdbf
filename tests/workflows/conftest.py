"""Lets these tests import `fabricated_dataset` (tests are no package: laion-clap installs one of that name), and lends
them a Ray for many runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))


@pytest.fixture(scope="module")
def one_ray() -> Iterator[None]:
    """The embedded Ray of a command, once for all runs that a module gives in this process."""
    from workflows.cluster import ray_cluster

    with ray_cluster():
        yield
