"""What the best possible mask would reach on an evaluation list, by what the mask lies on.

    python bench/mask_ceiling.py LIST.csv --root DIR [--every 4]

The mask is the least-squares one, real and between 0 and 1, told the sounds beforehand; a network can only come near.
Prints the mean improvement in dB (SNR, SI-SDR) over every fourth mixture, for frames of 1,024 and 2,048 samples, hops
of 256 to 1,024, and masks on mel bands or on all bins.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from model.mel import MelScale
from model.metrics import improvement, si_sdr, snr_sdr
from model.spectrum import Stft, StftConfig
from workflows.evaluation.lists import read_list
from workflows.evaluation.sounds import mixed_sounds

RATE = 32_000
SHAPES = ((1024, 256), (1024, 512), (2048, 512), (2048, 1024))
BANDS = (64, 96, 128, None)


def best_mask(target: Tensor, mixture: Tensor, spread: Tensor | None) -> Tensor:
    """The mask [F, N] with the least error, for complex spectra [F, N]; `spread` [F, M] for one on bands."""
    cross, power = (target * mixture.conj()).real, mixture.abs().square()
    if spread is None:
        return (cross / (power + 1e-12)).clamp(0.0, 1.0)
    return spread @ ((spread.T @ cross) / (spread.T @ power + 1e-12)).clamp(0.0, 1.0)


@torch.inference_mode()
def main() -> None:
    """Print one line per kind of mask."""
    parser = argparse.ArgumentParser(description="What the best possible masks reach.")
    parser.add_argument("list_csv", type=Path)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--every", type=int, default=4, help="take every so many-th mixture")
    asked = parser.parse_args()
    mixtures = [mixed_sounds(row, RATE) for row in read_list(asked.list_csv, asked.root).mixtures[:: asked.every]]
    print(f"{len(mixtures)} mixtures at {RATE} Hz\n")
    print("| frame | hop | mask on | SDRi, dB | SI-SDRi, dB |\n|---|---|---|---|---|")
    for (size, hop), bands in product(SHAPES, BANDS):
        stft = Stft(StftConfig(size, hop))
        bins = size // 2 + 1
        spread = None if bands is None else MelScale(bands=bands, bins=bins, sample_rate=RATE).spread
        gained = []
        for sounds in mixtures:
            target, mixture = (torch.from_numpy(sound)[None] for sound in (sounds.target, sounds.mixture))
            spectrum = stft.analyse(mixture)
            mask = best_mask(stft.analyse(target)[0], spectrum[0], spread)
            stem = stft.synthesise(mask * spectrum, mixture.shape[-1])
            gained.append([float(improvement(metric, stem, target, mixture)) for metric in (snr_sdr, si_sdr)])
        snr, si = torch.tensor(gained).mean(dim=0)
        print(f"| {size} | {hop} | {f'{bands} mel bands' if bands else f'{bins} bins'} | {snr:.1f} | {si:.1f} |")


if __name__ == "__main__":
    main()
