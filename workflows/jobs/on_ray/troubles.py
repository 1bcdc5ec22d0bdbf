"""Why a job on a Ray cluster waits or failed, in plain words with the next step."""

from __future__ import annotations

import re
from typing import Any, Final

AGAIN: Final = "what it committed stays; submit the same job again to go on where it stopped"
KILLED: Final = 137
NO_PROGRAM: Final = re.compile(r"(No module named .*|.*: not found|.*: No such file or directory)")
OURS: Final = re.compile(r"^soundquarry: (.*)$", re.MULTILINE)


def exit_code_from(details: Any) -> int | None:
    """The exit code of a job's process as a shell tells it: 128 + n where signal n ended it."""
    code: int | None = details.driver_exit_code
    return 128 - code if code is not None and code < 0 else code


def words(details: Any) -> str:
    """What `JobDetails` say about a job that waits, failed or was stopped; nothing where all is well."""
    status, said = details.status.value, details.message or ""
    if status == "PENDING":
        return said
    if status == "STOPPED":
        return f"cancelled; {AGAIN}"
    if status != "FAILED":
        return ""
    match details.error_type:
        case "JOB_ENTRYPOINT_COMMAND_ERROR":
            return _of_the_process(exit_code_from(details), said)
        case "RUNTIME_ENV_SETUP_FAILURE":
            return (
                f"the head could not unpack the job's code: {_last_line(said)}; look for a full disk, and submit again"
            )
        case "JOB_SUPERVISOR_ACTOR_DIED" | "JOB_SUPERVISOR_ACTOR_START_FAILURE":
            return f"the process that watched over it is gone, with its node or for lack of memory; {AGAIN}"
        case "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE" | "JOB_SUPERVISOR_ACTOR_START_TIMEOUT":
            return f"the head found no room to start it: {_last_line(said)}; free the cluster, or add a node"
    return f"{_last_line(said) or 'no reason was told'}; {AGAIN}"


def _of_the_process(code: int | None, said: str) -> str:
    lines = said.splitlines()
    if code is not None and code > 128:
        why = "out of memory most likely: give the head more" if code == KILLED else "someone ended it"
        return f"its process was killed on the head (signal {code - 128}), {why}; {AGAIN}"
    lacking = next((match[1] for line in reversed(lines) if (match := NO_PROGRAM.search(line))), None)
    if (code == 127 or "No module named" in said) and lacking is not None:
        return (
            f"the head's Python cannot run soundquarry ({lacking}): a bare `python` is looked up in the PATH of the "
            "head; name the one that has Ray and our dependencies with --python /path/to/python"
        )
    own = OURS.findall(said)
    return own[-1] if own else f"it ended with exit code {code}: {_last_line(said)}"


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]
