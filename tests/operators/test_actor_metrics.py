"""Metrics of the actors: free where no Ray runs; what they count where one does is in test_dashboard.py."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from operators.actor_metrics import count_memory_retry, stage_steps, stage_time, unit_time


def test_without_ray_nothing_is_imported() -> None:
    code = (
        "import sys\n"
        "from operators.actor_metrics import *\n"
        "with unit_time('separate'), stage_time('commit'):\n"
        "    list(stage_steps('decode', range(3)))\n"
        "count_memory_retry()\n"
        "print('ray' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_without_a_cluster_a_measurement_costs_microseconds() -> None:
    began = time.perf_counter()
    for _ in range(1000):
        with stage_time("commit"):
            pass
    assert time.perf_counter() - began < 0.1  # 2 ms here


def test_steps_come_as_they_are_and_their_errors_too() -> None:
    def steps() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("the file ends here")

    seen = []
    with pytest.raises(OSError, match="ends here"):
        for step in stage_steps("decode", steps()):
            seen.append(step)
    assert seen == [1, 2]


def test_a_measured_call_returns_what_it_returns() -> None:
    assert stage_time("encode")(lambda a, *, b: a + b)(1, b=2) == 3
    count_memory_retry()
    with pytest.raises(ValueError, match="as it was"), unit_time("separate"):
        raise ValueError("as it was")
