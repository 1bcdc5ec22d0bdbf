"""Do exported stems and residual add up to their source?

    python bench/null_test.py EXPORTED_FOLDER SOURCE [--track 0]

Adds up every WAV of a folder, as `soundquarry export` writes it for one source track, and subtracts what ffmpeg decodes
of the source at the files' rate. Of a dataset made with `--exclusive` nothing but rounding should be left.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import numpy as np
import soundfile


def main() -> None:
    """Print the difference in dB relative to the source, and its peak."""
    parser = argparse.ArgumentParser(description="Null test.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("source")
    parser.add_argument("--track", type=int, default=0)
    arguments = parser.parse_args()
    files = sorted(arguments.folder.glob("*.wav"))
    info = soundfile.info(files[0])
    decode = ["ffmpeg", "-v", "error", "-i", arguments.source, "-map", f"0:a:{arguments.track}", "-f", "f32le"]
    raw = subprocess.run([*decode, "-ar", str(info.samplerate), "-"], stdout=subprocess.PIPE, check=True).stdout
    source = np.frombuffer(raw, "<f4").reshape(-1, info.channels)
    rest = -source.astype(np.float64)
    for file in files:
        stem, rate = soundfile.read(file, always_2d=True)
        if (len(stem), rate) != (len(source), info.samplerate):
            raise SystemExit(f"{file}: {len(stem)} samples at {rate} Hz, the source has {len(source)}")
        rest += stem
    ratio = 10 * np.log10(np.square(rest).mean() / np.square(source).mean() + 1e-30)
    print(f"{len(files)} files of {len(source)} samples at {info.samplerate} Hz, {info.channels} channels")
    print(f"sum less source: {ratio:.1f} dB relative to it, peak {20 * np.log10(np.abs(rest).max() + 1e-30):.1f} dBFS")


if __name__ == "__main__":
    main()
