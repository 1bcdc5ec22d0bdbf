"""What can go wrong with one source, by name.

A `SourceFailure` is a row in the making: it becomes status, error class, message and stage of the source and never
ends the job.
"""

from __future__ import annotations

from typing import Final, Literal

Status = Literal["ok", "partial", "no_audio", "unreadable", "failed"]
Stage = Literal["list", "probe", "fetch", "decode", "separate", "commit"]

LONG_SOURCE: Final = "long_source"
"""A small file that holds more audio than a unit may: the next run probes it and cuts it."""
TRANSIENT: Final = frozenset(
    {"timeout", "throttled", "connection", "out_of_memory", "worker_lost", "disk_full", LONG_SOURCE}
)
"""Error classes that the next run tries again; every other class waits for `--retry-failed`."""


class SourceFailure(Exception):
    """One source (or one of its tracks) could not be processed.

    `status` goes into the source row; `error_class` is a short snake_case noun (`empty_file`, `not_media`,
    `no_index`, `timeout` ...);
    `message` is a sentence for a person: what was found, and what to do next.
    """

    def __init__(self, *, status: Status, error_class: str, message: str, stage: Stage) -> None:
        super().__init__(message)
        self.status: Status = status
        self.error_class = error_class
        self.message = message
        self.stage: Stage = stage

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.status, self.error_class, self.message, self.stage))


def _rebuild(status: Status, error_class: str, message: str, stage: Stage) -> SourceFailure:
    return SourceFailure(status=status, error_class=error_class, message=message, stage=stage)


def is_transient(error_class: str | None) -> bool:
    """True when the next run should try again without being asked."""
    return error_class in TRANSIENT
