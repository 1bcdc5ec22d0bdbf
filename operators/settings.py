"""The settings of a run that change its output, as one frozen value: part of the dataset's signature."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from model.checkpoint import Calibration
from operators.catalog import Catalog


class ExtractSettings(BaseModel):
    """What decides the stems, besides the sources, the catalog and the weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field("mini", description="name of a shipped model, or path of a checkpoint")
    gate: bool = Field(True, description="decode only (window, query) pairs whose presence reaches the threshold")
    threshold: float | None = Field(
        None, ge=0.0, le=1.0, description="presence (0 to 1) from which a pair is decoded; null: the model's own"
    )

    @property
    def content_hash(self) -> str:
        """16 hex digits over what changes the output; the model's weights have their own signature."""
        return hashlib.sha256(json.dumps(self.signature(), sort_keys=True).encode()).hexdigest()[:16]

    def signature(self) -> dict[str, Any]:
        """The entries that go into `OUT/dataset.json`."""
        return {"gate": self.gate, "threshold": self.threshold}

    def gate_thresholds(self, catalog: Catalog, calibration: Calibration) -> list[float]:
        """Threshold of the gate per query: the query's own, else the run's, else the model's."""
        default = calibration.presence_threshold if self.threshold is None else self.threshold
        return [default if query.threshold is None else query.threshold for query in catalog.queries]

    def event_thresholds(self, catalog: Catalog, calibration: Calibration) -> list[float]:
        """Activity from which a tenth of a second belongs to an event, per query."""
        chosen = [query.threshold if query.threshold is not None else self.threshold for query in catalog.queries]
        return [calibration.event_threshold if own is None else own for own in chosen]
