"""What Ray says of a job that failed becomes a sentence with the next step."""

from __future__ import annotations

import pytest
from ray.dashboard.modules.job.pydantic_models import JobDetails, JobType
from ray.job_submission import JobErrorType, JobStatus

from workflows.jobs.on_ray.troubles import exit_code_from, words

COMMAND = JobErrorType.JOB_ENTRYPOINT_COMMAND_ERROR
LOGS = "Job entrypoint command failed with exit code {}, last available logs (truncated to 20,000 chars):\n{}"


def details(
    status: JobStatus, message: str = "", error: JobErrorType | None = None, code: int | None = None
) -> JobDetails:
    return JobDetails(
        type=JobType.SUBMISSION, status=status, entrypoint="", message=message, error_type=error, driver_exit_code=code
    )


@pytest.mark.parametrize(
    ("code", "log", "said"),
    [
        (2, "soundquarry: no source at x.wav\n", "no source at x.wav"),
        (1, "a warning\nsoundquarry: 2 units were not committed\n", "2 units were not committed"),
        (1, "Traceback ...\nZeroDivisionError: division by zero", "it ended with exit code 1: ZeroDivisionError"),
        (-9, "", "killed on the head (signal 9), out of memory most likely"),
        (137, "Killed\n", "killed on the head (signal 9), out of memory most likely"),
        (143, "", "killed on the head (signal 15), someone ended it"),
        (127, "/bin/sh: 1: python: not found\n", "(/bin/sh: 1: python: not found): a bare `python` is looked up"),
        (1, "/usr/bin/python: No module named typer", "name the one that has Ray and our dependencies with --python"),
    ],
)
def test_a_process_that_ended_badly_says_why(code: int, log: str, said: str) -> None:
    assert said in words(details(JobStatus.FAILED, LOGS.format(code, log), COMMAND, code))


@pytest.mark.parametrize(
    ("error", "message", "said"),
    [
        (JobErrorType.RUNTIME_ENV_SETUP_FAILURE, "a\nNo space left", "could not unpack the job's code: No space left"),
        (JobErrorType.JOB_SUPERVISOR_ACTOR_DIED, "x", "submit the same job again to go on"),
        (JobErrorType.JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE, "no CPU", "found no room to start it: no CPU"),
        (None, "odd", "odd; what it committed stays"),
        (None, "", "no reason was told"),
    ],
)
def test_a_job_that_did_not_come_to_run_says_why(error: JobErrorType | None, message: str, said: str) -> None:
    assert said in words(details(JobStatus.FAILED, message, error))


def test_a_job_that_is_well_says_nothing_and_one_that_waits_what_it_waits_for() -> None:
    assert words(details(JobStatus.RUNNING, "Job is currently running.")) == ""
    assert words(details(JobStatus.SUCCEEDED, "Job finished successfully.")) == ""
    assert words(details(JobStatus.PENDING, "It may be waiting for resources")) == "It may be waiting for resources"
    assert words(details(JobStatus.STOPPED)).startswith("cancelled; what it committed stays")


def test_a_signal_is_counted_from_128_as_a_shell_does() -> None:
    codes = [exit_code_from(details(JobStatus.FAILED, code=code)) for code in (None, 0, 2, -9, 137)]
    assert codes == [None, 0, 2, 137, 137]
