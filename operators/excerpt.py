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
WHOLE_SECONDS: Final = 1e9
"""A unit length that cuts nothing."""

Samples = npt.NDArray[np.float32]
ReadMixture = Callable[[str, str, int, float, float, int], Samples]
"""(source_uri, source_version, track, start_seconds, end_seconds, sample_rate) -> float32[C, T]; raises
SourceFailure."""


class MixtureReader:
    """Reads stretches of sources; what it learned of a source, and its open decode, serve the next stretch of it.

    >>> MixtureReader()("/nowhere.wav", "", 0, 0.0, 1.0, 32000)
    Traceback (most recent call last):
    operators.failure.SourceFailure: ...
    """

    def __init__(self) -> None:
        self._decoders: dict[int, Decode] = {}

    def __call__(
        self,
        source_uri: str,
        source_version: str,
        track: int,
        start_seconds: float,
        end_seconds: float,
        sample_rate: int,
    ) -> Samples:
        """The mixture `float32[C, T]` of a stretch of a track. Raises SourceFailure when it can no longer be read."""
        decode = self._decoders.get(sample_rate)
        if decode is None:
            decode = self._decoders[sample_rate] = Decode(
                sample_rate=sample_rate,
                context_seconds=0.0,
                unit_seconds=WHOLE_SECONDS,
                timeout_seconds=TIMEOUT_SECONDS,
            )
        member: dict[str, Any] = {
            "member_id": "excerpt",
            "source_uri": source_uri,
            "source_version": source_version,
            "track": track,
            "start_seconds": start_seconds,
            "end_seconds": end_seconds,
        }
        row = {"unit_id": "excerpt", "attempt": 1, "members": [member]}
        unit = decode(pa.Table.from_pylist([row], schema=PLAN_SCHEMA)).to_pylist()[0]
        piece = unit["pieces"][0] if unit["pieces"] else {}
        if not piece.get("pcm"):
            raise SourceFailure(
                status="failed",
                error_class=piece.get("error_class") or "no_samples",
                message=piece.get("message") or f"{source_uri} gave no samples at {start_seconds:g} s",
                stage=piece.get("stage") or "decode",
            )
        samples = np.frombuffer(piece["pcm"], np.float32).reshape(-1, piece["channels"])
        first = piece["context_before_samples"]
        return np.ascontiguousarray(samples[first : first + piece["span_samples"]].T)
