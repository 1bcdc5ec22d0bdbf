"""The settings of a run that change its output, as one frozen value: part of the dataset's signature."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from operators.catalog import Catalog

if TYPE_CHECKING:  # torch takes seconds, and a job is checked without it
    from model.checkpoint import Calibration


class ExtractSettings(BaseModel):
    """What decides the stems, besides the sources, the catalog and the weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field("mini", description="name or path of a model")
    gate: bool = Field(True, description="decode only (window, query) pairs whose presence reaches the threshold")
    threshold: float | None = Field(
        None,
        ge=0.0,
        le=1.0,
        description="presence (0 to 1) from which a pair is decoded and heard in an event; null: the model's",
    )
    gate_threshold: float | None = Field(
        None, ge=0.0, le=1.0, description="presence (0 to 1) from which a pair is decoded, where that is another one"
    )
    rate: Literal["model", "source"] = Field("model", description="rate of the stems: the network's, or the track's")
    channels: Literal["source", "mono"] = Field("source", description="of the stems: the track's, or their mean")
    residual: bool = Field(False, description="one more stem: what no query took")
    exclusive: bool = Field(False, description="queries share the mixture: stems and residual add up to it")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="what the network computes in; auto: what is fastest on the device and as good"
    )

    @model_validator(mode="after")
    def _has_a_gate_to_set(self) -> ExtractSettings:
        if not self.gate and self.gate_threshold is not None:
            raise ValueError(
                f"--gate-threshold is {self.gate_threshold:g}, but --no-gate separates everything; give one of them"
            )
        return self

    @property
    def kind(self) -> str:
        """What the dataset holds: stems (`extract`) or events (`mine`)."""
        return "extract"

    @property
    def content_hash(self) -> str:
        """16 hex digits over what changes the output; the model's weights have their own signature."""
        return hashlib.sha256(json.dumps(self.signature(), sort_keys=True).encode()).hexdigest()[:16]

    def signature(self) -> dict[str, Any]:
        """The entries that go into `OUT/dataset.json`. Like the device, the precision is no part of them."""
        unsaid = {"gate_threshold"} if self.gate_threshold is None else set()
        return self.model_dump(exclude={"model", "precision"} | unsaid)

    def gate_thresholds(self, catalog: Catalog, calibration: Calibration) -> list[float]:
        """Threshold of the gate per query: its own, else the run's for the gate or for all, else the model's."""
        chosen = [self.gate_threshold, self.threshold, calibration.presence_threshold]
        default = next(threshold for threshold in chosen if threshold is not None)
        return [default if query.threshold is None else query.threshold for query in catalog.queries]

    def event_thresholds(self, catalog: Catalog, calibration: Calibration) -> list[float]:
        """Activity from which a tenth of a second belongs to an event, per query."""
        chosen = [query.threshold if query.threshold is not None else self.threshold for query in catalog.queries]
        return [calibration.event_threshold if own is None else own for own in chosen]

    def decode_rate(self, model_rate: int) -> int | None:
        """The rate in Hz that tracks are decoded at, None for their own."""
        return model_rate if self.rate == "model" else None

    @property
    def look_seconds(self) -> int:
        """Whole seconds that a unit looks beyond its borders, the windows' own context not counted."""
        return 0


class MineSettings(ExtractSettings):
    """What decides the events of a library, besides what decides the stems that they are cut from."""

    min_seconds: float = Field(0.2, ge=0.1, le=5.0, description="shorter activity is no event")
    max_event_seconds: int = Field(30, ge=1, le=40, description="longer activity is cut at multiples of it, and marked")
    padding_seconds: float = Field(0.25, ge=0.0, le=5.0, description="kept before and after an event")
    fade_seconds: float = Field(0.05, ge=0.0, le=5.0, description="fade-in and fade-out of an event's audio")

    @model_validator(mode="after")
    def _fits(self) -> MineSettings:
        if self.min_seconds >= self.max_event_seconds:
            raise ValueError(
                f"the shortest event ({self.min_seconds:g} s) must be shorter than the longest "
                f"({self.max_event_seconds} s)"
            )
        if self.residual:
            raise ValueError("a library holds events, and a residual is none; use extract")
        return self

    @property
    def kind(self) -> str:
        return "mine"

    @property
    def look_seconds(self) -> int:
        """Far enough to see where an event that crosses a border begins, and where it ends, with its padding.

        A first part may be longer than `max_event_seconds` by `min_seconds`, and as much more must be known before its
        cut is certain; holes of up to 0.4 s are closed.
        """
        return self.max_event_seconds + math.ceil(2.0 * self.min_seconds + self.padding_seconds + 0.4) + 1
