"""Names, exit codes and what a second submit does are the same wherever jobs run."""

from __future__ import annotations

import pytest

from workflows.jobs.job_file import JobFile
from workflows.jobs.job_service import JobError, JobState, Progress, Submitted, exit_code_of, instead_of, name_of

JOB = JobFile("extract", {"catalog": "everyday", "sources": ["s3://archive"], "out": "s3://stems"})


def test_a_name_is_made_of_the_work_and_counted_on() -> None:
    first = f"sq-extract-{JOB.work}"
    assert name_of(JOB, ()) == first
    assert name_of(JOB, {first}) == f"{first}-2"
    assert name_of(JOB, {first, f"{first}-2", f"{first}-4"}) == f"{first}-3"
    assert len(first) < 47 - len("-99999")  # the longest name of a RayJob


@pytest.mark.parametrize(
    ("state", "code", "ours"),
    [
        ("succeeded", 0, 0),
        ("succeeded", None, 0),
        ("failed", 1, 1),
        ("failed", 2, 2),
        ("failed", 130, 130),
        ("failed", 137, 1),
        ("failed", 0, 1),
        ("failed", None, 1),
        ("stopped", None, 130),
        ("stopped", 143, 130),
    ],
)
def test_the_exit_code_is_one_that_our_commands_have(state: Progress, code: int | None, ours: int) -> None:
    assert exit_code_of(JobState("sq", "extract", state, exit_code=code)) == ours


def test_a_second_submit_joins_skips_or_fails() -> None:
    live = JobState("sq-1", "extract", "running")
    assert live.is_live
    assert instead_of(live, "join") == Submitted("sq-1", joined=True)
    assert instead_of(live, "skip") == Submitted("sq-1", skipped=True)
    with pytest.raises(JobError, match="already runs as sq-1: join it with --if-running join, or cancel it first"):
        instead_of(live, "fail")
