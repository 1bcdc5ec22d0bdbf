"""Receipts made in code, and the metrics of a run that has had them."""

from __future__ import annotations

from typing import Any

from workflows.metrics import RunMetrics
from workflows.progress import Tally

RECEIPT: dict[str, Any] = {
    "unit_id": "0123456789abcdef", "begun": 1, "committed": True, "seconds": 600.0, "stems": 12, "events": 30,
    "windows": 67, "pairs": 670, "pairs_passed": 67, "size_bytes": 4_000_000, "wall_seconds": 24.0,
    "statuses": ["ok", "ok"], "error_classes": [], "messages": [],
}  # fmt: skip
BAD = {
    "statuses": ["ok", "unreadable", "no_audio"],
    "error_classes": ["not_media", "no_audio"],
    "messages": ["/archive/a secret name.mp3: no media", "/archive/silent.mp4: no audio"],
}
LOST = {"committed": False, "error_classes": ["disk_full"], "messages": ["no space"], "size_bytes": 0}


def told(*receipts: dict[str, Any], planned: int = 4) -> RunMetrics:
    """Metrics of a run from which these receipts came back."""
    metrics = RunMetrics()
    tally = Tally("20260131T120000Z-3f9a", "extract", "mini-0123456789ab")
    tally.units_planned, tally.seconds_planned = planned, 600.0 * planned
    metrics.start(tally)
    for receipt in receipts:
        tally.add(receipt)
        metrics.advance(tally, receipt)
    return metrics
