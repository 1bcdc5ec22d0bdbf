"""From a finished stretch to its row: measured, its events found, embedded, encoded as FLAC."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.checkpoint import Model
from operators.catalog import Catalog
from operators.event_spans import BINS_PER_SECOND, events_of, level_per_bin
from operators.flac import encode_flac
from operators.measure import measure
from operators.schema import SCHEMA_VERSION
from operators.stem_engine import Stretch

TOO_QUIET_DBFS: Final = -70.0
"""A stem whose peak is lower is not kept: "too quiet", which is not the same as "not present"."""


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
    ) -> None:
        self.clap = model.clap.to(positive.device)
        self.model_signature, self.sample_rate = model.signature, model.separator.sample_rate
        self.catalog, self.positive, self.run_id = catalog, positive, run_id
        self.settings_hash, self.event_thresholds = settings_hash, event_thresholds
        self.catalog_hash = catalog.content_hash

    @torch.inference_mode()
    def embed(self, stretch: Stretch) -> NDArray[np.float32] | None:
        """CLAP embedding [D] of the stretch's best window, None when there is nothing to hear in it.

        What is shorter than a second is followed by silence: the tower needs an STFT window at least.
        """
        window = stretch.best_window
        if not window.size or float(np.abs(window).max()) < 10.0 ** (TOO_QUIET_DBFS / 20.0):
            return None
        window = np.pad(window, (0, max(0, self.sample_rate - len(window))))
        embedded: NDArray[np.float32] = (
            self.clap.embed_audio(torch.from_numpy(window)[None].to(self.positive.device))[0].cpu().numpy()
        )
        return embedded

    def row(
        self, stretch: Stretch, embedding: NDArray[np.float32] | None, piece: Mapping[str, Any], unit_id: str
    ) -> dict[str, Any] | None:
        """The stem row of a stretch, None when it is too quiet to keep. Safe to call from several threads."""
        measures = measure(stretch.stem, stretch.mixture, self.sample_rate)
        if measures.peak_dbfs < TOO_QUIET_DBFS:
            return None
        query = self.catalog.queries[stretch.query]
        start = stretch.start / self.sample_rate
        end = (stretch.start + stretch.stem.shape[1]) / self.sample_rate
        first_bin = stretch.start * BINS_PER_SECOND // self.sample_rate
        events = events_of(
            stretch.activity,
            level_per_bin(stretch.stem, self.sample_rate),
            level_per_bin(stretch.mixture, self.sample_rate),
            self.event_thresholds[stretch.query],
            start_seconds=max(start, first_bin / BINS_PER_SECOND),
        )
        encoded = encode_flac(stretch.stem, self.sample_rate)
        identity = [
            piece["source_uri"], piece["source_version"], piece["track"], stretch.start,
            query.id, query.content_hash, self.model_signature, self.settings_hash,
        ]  # fmt: skip
        clip = (piece["clip_start_seconds"], piece["clip_end_seconds"])
        if clip != (None, None):  # clips may overlap
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
            "query_id": query.id,
            "query_text": query.query_text,
            "ucs_cat_id": query.ucs,
            "tags": piece["tags"] or [],
            "start_seconds": start,
            "end_seconds": end,
            "sample_rate": self.sample_rate,
            "channels": stretch.stem.shape[0],
            "channel_layout": piece["channel_layout"],
            "source_clock_seconds": piece["source_clock_seconds"],
            "continued": False,
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
            "audio": {"bytes": encoded.data, "path": f"{unit_id}-{query.id}-{stretch.start}.flac"},
        }
