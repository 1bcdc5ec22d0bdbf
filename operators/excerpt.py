"""A few seconds of a source, decoded again: what the report sets beside a stem.

Contract: the excerpt lies on the same time line as the stems, because the pipeline's own decoder makes it. A source
that is gone, has changed or does not answer in time is a `SourceFailure` whose message says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.decode import Decode
from operators.failure import SourceFailure
from operators.schema import PLAN_SCHEMA

TIMEOUT_SECONDS: Final = 60.0

Samples = npt.NDArray[np.float32]
ReadMixture = Callable[[str, str, int, float, float, int], Samples]
"""(source_uri, source_version, track, start_seconds, end_seconds, sample_rate) -> float32[C, T]; raises
SourceFailure."""


def read_mixture(
    source_uri: str, source_version: str, track: int, start_seconds: float, end_seconds: float, sample_rate: int
) -> Samples:
    """The mixture `float32[C, T]` of a stretch of a source track.

    Raises SourceFailure when it can no longer be read.
    """
    member: dict[str, Any] = {
        "member_id": "excerpt",
        "source_uri": source_uri,
        "source_version": source_version,
        "track": track,
        "start_seconds": start_seconds,
        "end_seconds": end_seconds,
    }
    row = {"unit_id": "excerpt", "attempt": 1, "members": [member]}
    decode = Decode(sample_rate=sample_rate, context_seconds=0.0, timeout_seconds=TIMEOUT_SECONDS)
    unit = decode(pa.Table.from_pylist([row], schema=PLAN_SCHEMA)).to_pylist()[0]
    piece = unit["pieces"][0]
    if not piece["pcm"]:
        raise SourceFailure(
            status=piece["status"] if piece["status"] != "ok" else "failed",
            error_class=piece["error_class"] or "no_samples",
            message=piece["message"] or "nothing was decoded",
            stage=piece["stage"] or "decode",
        )
    samples = np.frombuffer(piece["pcm"], np.float32).reshape(-1, piece["channels"])
    first = piece["context_before_samples"] or 0
    return np.ascontiguousarray(samples[first : first + piece["span_samples"]].T)
