"""A separator that cannot tell where a query sounds, behind a small one that can.

The small network hears every window; the large one only windows in which some query is present, and only those pairs.
Our choice: the published CLAPSep has no notion of presence, and a zero-shot one (its CLAP towers on the mixture) would
cost a second HTSAT per window, a hundred times as much as the small network.

The two may work at other rates and on other windows. Both hear the network's windows, at the higher of the two rates:
the lower one resamples for itself, so the gate misses no band that it knows. A gate that knows longer windows hears
silence behind the end.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.resample import Resample
from model.separator import Condition, Features, Mask, MaskNetwork, Separator


class GatedSeparator(Separator):
    """`network` makes the masks, `gate` tells presence and activity by `condition.gate`; both hear the same windows.

    `sample_rate` is the higher of their rates, `window_samples` the network's window at it; `activity` is on the gate's
    frames, `activity_hop_samples` at that rate. Raises ValueError for a gate of shorter windows, and for rates at which
    windows or frames are no whole number of samples.
    """

    def __init__(self, network: MaskNetwork, gate: Separator) -> None:
        super().__init__()
        rate = max(network.sample_rate, gate.sample_rate)
        self.network, self.gate = network, gate
        self.sample_rate = rate
        self.window_samples = _whole(network.window_samples, network.sample_rate, rate, "a window of the network")
        self.activity_hop_samples = _whole(gate.activity_hop_samples, gate.sample_rate, rate, "a frame of the gate")
        heard = _whole(network.window_samples, network.sample_rate, gate.sample_rate, "a window of the network")
        if gate.window_samples < heard:
            raise ValueError(
                f"the gate must hear the whole of the network's windows, got {_told(gate)} for {_told(network)}; name "
                "a gate of longer windows"
            )
        self._silence_samples = gate.window_samples - heard
        self._to_network = _resampler(rate, network.sample_rate)
        self._to_gate = _resampler(rate, gate.sample_rate)
        self.window_bytes, self.pair_bytes = network.window_bytes, network.pair_bytes
        self.reads_negatives = network.reads_negatives
        self.cpu_pairs, self.lead_share, self.precisions = network.cpu_pairs, network.lead_share, network.precisions

    def analyse(self, mixture: Tensor, sample_rate: int | None = None) -> Tensor:
        return self.network.analyse(mixture, sample_rate or self.sample_rate)

    def encode(self, mixture: Tensor, spectrum: Tensor | None = None) -> Features:
        """Features of the gate; of the network's there is only its input, until `deepen`."""
        heard = functional.pad(self._to_gate(mixture), (0, self._silence_samples))
        activity = self.gate.encode(heard).activity
        if self.sample_rate != self.network.sample_rate:  # a spectrum at this rate is not what the network sees
            return Features((mixture,), activity)
        spectrum = self.network.analyse(mixture[:, None])[:, 0] if spectrum is None else spectrum
        return Features((mixture, spectrum), activity)

    def activity_logits(self, features: Features, condition: Condition) -> Tensor:
        return self.gate.activity_logits(features, self._gate_condition(condition))

    def activity(self, features: Features, condition: Condition) -> Tensor:
        return self.gate.activity(features, self._gate_condition(condition))

    def presence(self, features: Features, condition: Condition) -> Tensor:
        return self.gate.presence(features, self._gate_condition(condition))

    def deepen(self, features: Features, rows: Tensor) -> Features:
        mixture, *spectrum = features.select(rows).maps
        return self.network.encode(self._to_network(mixture), *spectrum)

    def mask(self, features: Features, condition: Condition) -> Mask:
        return self.network.mask(features, condition)

    def render(self, mask: Mask, spectrum: Tensor, samples: int, sample_rate: int | None = None) -> Tensor:
        return self.network.render(mask, spectrum, samples, sample_rate or self.sample_rate)

    def on_bins(self, mask: Mask) -> Tensor:
        """The mask at every bin of the network's spectrum, at the network's rate."""
        return self.network.on_bins(mask)

    def set_precision(self, dtype: torch.dtype) -> None:
        """Of the network; the gate keeps single precision."""
        self.network.set_precision(dtype)

    def best_precision(self, device: str) -> torch.dtype:
        return self.network.best_precision(device)

    def forward(self, mixture: Tensor, condition: Condition) -> Tensor:
        """Stems [B, T] of mixtures [B, T] at `sample_rate`, one condition each; the gate is not asked."""
        if self.sample_rate == self.network.sample_rate:
            stems: Tensor = self.network(mixture, condition)
            return stems
        mask = self.network.mask(self.network.encode(self._to_network(mixture)), condition)
        return self.render(mask, self.analyse(mixture[:, None]), mixture.shape[-1])[:, 0]

    def _gate_condition(self, condition: Condition) -> Condition:
        if condition.gate is None:
            raise ValueError("the condition says nothing to the gate; make it with both pairs of towers")
        return Condition(condition.gate)


def _resampler(source_rate: int, target_rate: int) -> nn.Module:
    return nn.Identity() if source_rate == target_rate else Resample(source_rate, target_rate)


def _whole(samples: int, own_rate: int, rate: int, what: str) -> int:
    whole, rest = divmod(samples * rate, own_rate)
    if rest:
        raise ValueError(f"{what}, {samples} samples at {own_rate} Hz, is no whole number of them at {rate} Hz")
    return whole


def _told(network: MaskNetwork) -> str:
    return f"{network.window_samples / network.sample_rate:g} s"
