"""From a finished stretch to its row: measured, its events found, embedded, encoded as FLAC."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.checkpoint import Model
from operators.catalog import RESIDUAL_ID, Catalog
from operators.event_spans import BINS_PER_SECOND, Event, events_of, level_per_bin
from operators.measure import measure
from operators.media.flac import encode_flac
from operators.schema import SCHEMA_VERSION
from operators.stretches import RESIDUAL, Stretch, is_audible

RESIDUAL_TEXT: Final = "what no query took"
QUIETEST_RESIDUAL: Final = 10.0 ** (-120.0 / 20.0)
"""A residual is kept down to -120 dBFS, so that stems and residual still add up to the mixture."""


class StemRowMaker:
    """Makes the rows of one run. `positive`: unit vectors [Q, D] of what the queries want."""

    def __init__(
        self,
        model: Model,
        catalog: Catalog,
        positive: Tensor,
        *,
        run_id: str,
        settings_hash: str,
        event_thresholds: Sequence[float],
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.clap = model.clap.to(positive.device)
        self.clap.set_precision(precision)
        self.model_signature = model.signature
        self.catalog, self.positive, self.run_id = catalog, positive, run_id
        self.settings_hash, self.event_thresholds = settings_hash, event_thresholds
        self.catalog_hash = catalog.content_hash

    @torch.inference_mode()
    def embed(self, stretch: Stretch) -> NDArray[np.float32] | None:
        """CLAP embedding [D] of the stretch's best window, None for a residual and when there is nothing to hear."""
        window = stretch.best_window
        if stretch.query == RESIDUAL or not is_audible(window):
            return None
        if stretch.sample_rate != self.clap.sample_rate:
            window = soxr.resample(window, stretch.sample_rate, self.clap.sample_rate)
        window = np.pad(window, (0, max(0, 1 - len(window))))  # a sample of a high rate may become none
        embedded: NDArray[np.float32] = (
            self.clap.embed_audio(torch.from_numpy(window)[None].to(self.positive.device))[0].cpu().numpy()
        )
        return embedded

    def row(
        self, stretch: Stretch, embedding: NDArray[np.float32] | None, piece: Mapping[str, Any], unit_id: str
    ) -> dict[str, Any] | None:
        """The stem row of a stretch, None when it is too quiet to keep. Safe to call from several threads."""
        if not self._is_kept(stretch):
            return None
        audio = stretch.audio
        measures = measure(stretch.stem, stretch.mixture, stretch.sample_rate, core=stretch.core, audio=audio)
        end = (stretch.start + stretch.stem.shape[1]) / stretch.sample_rate
        events = self._events(stretch)
        encoded = encode_flac(audio, stretch.sample_rate)
        query_id, query_text, content, category = self._asked(stretch.query)
        begins = stretch.start if stretch.events is None else [event.start_seconds for event in events]
        identity = [
            piece["source_uri"], piece["source_version"], piece["track"], begins,
            query_id, content, self.model_signature, self.settings_hash,
        ]  # fmt: skip
        clip = (piece["clip_start_seconds"], piece["clip_end_seconds"])
        if clip != (None, None):  # clips of one source may overlap
            identity.append(clip)
        similarity = None if embedding is None else float(embedding @ self.positive[stretch.query].cpu().numpy())
        return {
            "stem_id": hashlib.blake2b(repr(identity).encode(), digest_size=16).hexdigest(),
            "run_id": self.run_id,
            "unit_id": unit_id,
            "member_id": piece["member_id"],
            "source_uri": piece["source_uri"],
            "source_version": piece["source_version"],
            "track": piece["track"],
            "query_id": query_id,
            "query_text": query_text,
            "ucs_cat_id": category,
            "tags": piece["tags"] or [],
            "start_seconds": stretch.start / stretch.sample_rate,
            "end_seconds": end,
            "sample_rate": stretch.sample_rate,
            "channels": stretch.stem.shape[0],
            "channel_layout": piece["channel_layout"],
            "source_clock_seconds": piece["source_clock_seconds"],
            "continued": stretch.continued,
            "presence": stretch.presence,
            "clap_similarity": similarity,
            "loudness_lufs": measures.loudness_lufs,
            "peak_dbfs": measures.peak_dbfs,
            "gain_db": encoded.gain_db,
            "energy_ratio_db": measures.energy_ratio_db,
            "residual_ratio_db": measures.residual_ratio_db,
            "events": [
                {"start_seconds": e.start_seconds, "end_seconds": min(e.end_seconds, end), "presence": e.presence}
                for e in events
            ],
            "embedding": None if embedding is None else embedding.astype(np.float16),
            "model_signature": self.model_signature,
            "catalog_hash": self.catalog_hash,
            "schema_version": SCHEMA_VERSION,
            "audio": {"bytes": encoded.data, "path": f"{unit_id}-{query_id}-{stretch.start}.flac"},
        }

    def _is_kept(self, stretch: Stretch) -> bool:
        if stretch.query == RESIDUAL:
            return float(np.abs(stretch.stem).max(initial=0.0)) > QUIETEST_RESIDUAL
        return is_audible(stretch.stem)

    def _asked(self, index: int) -> tuple[str, str, str, str | None]:
        """Id, words, content hash and category of what a stretch was separated for."""
        if index == RESIDUAL:
            return RESIDUAL_ID, RESIDUAL_TEXT, self.catalog_hash, None
        query = self.catalog.queries[index]
        return query.id, query.query_text, query.content_hash, query.ucs

    def _events(self, stretch: Stretch) -> Sequence[Event]:
        if stretch.events is not None:
            return stretch.events
        if stretch.query == RESIDUAL:
            return ()
        rate = stretch.sample_rate
        first_bin = stretch.start * BINS_PER_SECOND // rate
        return events_of(
            stretch.activity,
            level_per_bin(stretch.stem, rate),
            level_per_bin(stretch.mixture, rate),
            self.event_thresholds[stretch.query],
            start_seconds=max(stretch.start / rate, first_bin / BINS_PER_SECOND),
        )
