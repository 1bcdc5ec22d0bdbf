"""A separator that cannot tell where a query sounds, behind a small one that can.

The small network hears every window; the large one only windows in which some query is present, and only those pairs.
Our choice: the published CLAPSep has no notion of presence, and a zero-shot one (its CLAP towers on the mixture) would
cost a second HTSAT per window, a hundred times as much as the small network.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.separator import Condition, Features, Mask, MaskNetwork, Separator


class GatedSeparator(Separator):
    """`network` makes the masks, `gate` tells presence and activity by `condition.gate`; both hear the same windows."""

    def __init__(self, network: MaskNetwork, gate: Separator) -> None:
        super().__init__()
        own = (network.sample_rate, network.window_samples)
        heard = (gate.sample_rate, gate.window_samples)
        if own != heard:
            raise ValueError(f"the gate must hear the network's windows, got (rate, samples) {heard}, expected {own}")
        self.network, self.gate = network, gate
        self.sample_rate, self.window_samples = own
        self.activity_hop_samples = gate.activity_hop_samples
        self.window_bytes, self.pair_bytes = network.window_bytes, network.pair_bytes
        self.cpu_pairs, self.lead_share, self.precisions = network.cpu_pairs, network.lead_share, network.precisions

    def analyse(self, mixture: Tensor, sample_rate: int | None = None) -> Tensor:
        return self.network.analyse(mixture, sample_rate)

    def encode(self, mixture: Tensor, spectrum: Tensor | None = None) -> Features:
        """Features of the gate; of the network's there is only its input, until `deepen`."""
        spectrum = self.network.analyse(mixture[:, None])[:, 0] if spectrum is None else spectrum
        return Features((mixture, spectrum), self.gate.encode(mixture).activity)

    def activity_logits(self, features: Features, condition: Condition) -> Tensor:
        return self.gate.activity_logits(features, self._gate_condition(condition))

    def activity(self, features: Features, condition: Condition) -> Tensor:
        return self.gate.activity(features, self._gate_condition(condition))

    def presence(self, features: Features, condition: Condition) -> Tensor:
        return self.gate.presence(features, self._gate_condition(condition))

    def deepen(self, features: Features, rows: Tensor) -> Features:
        mixture, spectrum = features.select(rows).maps
        return self.network.encode(mixture, spectrum)

    def mask(self, features: Features, condition: Condition) -> Mask:
        return self.network.mask(features, condition)

    def render(self, mask: Mask, spectrum: Tensor, samples: int, sample_rate: int | None = None) -> Tensor:
        return self.network.render(mask, spectrum, samples, sample_rate)

    def on_bins(self, mask: Mask) -> Tensor:
        return self.network.on_bins(mask)

    def set_precision(self, dtype: torch.dtype) -> None:
        """Of the network; the gate keeps single precision."""
        self.network.set_precision(dtype)

    def best_precision(self, device: str) -> torch.dtype:
        return self.network.best_precision(device)

    def forward(self, mixture: Tensor, condition: Condition) -> Tensor:
        stems: Tensor = self.network(mixture, condition)
        return stems

    def _gate_condition(self, condition: Condition) -> Condition:
        if condition.gate is None:
            raise ValueError("the condition says nothing to the gate; make it with both pairs of towers")
        return Condition(condition.gate)
