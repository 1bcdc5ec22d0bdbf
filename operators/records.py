"""What a committed unit says of itself: the JSON in the footer of its Parquet file.

`UnitRecord` is the truth of the dataset. `sources.parquet`, `coverage.parquet` and a run's totals are made from
these records alone.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from operators.failure import Stage, Status

FOOTER_KEY = b"soundquarry.unit"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceRecord(_Record):
    """What became of one track of one member (or of the member as a whole when it has no track)."""

    member_id: str
    source_uri: str
    source_version: str
    track: int | None = None
    start_seconds: float = Field(0.0, description="start of the span on the source's time line")
    clip_start_seconds: float | None = Field(None, description="start of the clip that a manifest asked for")
    clip_end_seconds: float | None = None
    seconds: float = Field(0.0, description="seconds of audio decoded, context not counted")
    sample_rate: int | None = None
    channels: int | None = None
    status: Status
    error_class: str | None = None
    message: str | None = None
    stage: Stage | None = None
    stems: int = 0


class CoverageRecord(_Record):
    """What was looked at and found for one query in one track of one member. Columns as in `COVERAGE_SCHEMA`.

    A residual has one too, of no windows: nothing is asked for it.
    """

    member_id: str
    source_uri: str
    track: int
    query_id: str
    start_seconds: float
    end_seconds: float
    windows: int
    windows_passed: int
    windows_silent: int
    presence_max: float
    window_starts: list[float]
    window_presence: list[float]
    outcome: str = Field(description="present, not_present, too_quiet or no_event; what failed was not looked at")
    stems: int


class UnitRecord(_Record):
    """Everything a committed unit says of itself."""

    unit_id: str
    run_id: str
    attempt: int = Field(1, description="how often the unit was tried, this time included")
    member_ids: list[str]
    sources: list[SourceRecord]
    coverage: list[CoverageRecord]
    wall_seconds: float = 0.0
    precision: str | None = Field(None, description="what the network computed in, such as bfloat16")
