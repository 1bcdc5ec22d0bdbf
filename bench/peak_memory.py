"""Peak memory of a run against the length of its file: all processes and the object store.

    python bench/peak_memory.py [--hours 1 10] [--sample-rate 44100] [--catalog FILE] [--folder DIR] [--keep] \
        [--command "extract --exclusive"]

Makes files of coloured noise with ffmpeg, runs the command on each with the given catalog, and samples the
proportional set size (shared memory counted once) of the whole process tree four times a second. The peak must not
grow with the length of the file.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

GIB = 2**30


def main() -> None:
    """Print the peak per file, and the ratio of the last to the first."""
    parser = argparse.ArgumentParser(description="Peak memory.")
    parser.add_argument("--hours", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--sample-rate", type=int, default=44_100, help="of the files, in Hz")
    parser.add_argument("--keep", action="store_true", help="leave the datasets in the folder")
    parser.add_argument("--catalog", default=None, help="default: one query")
    parser.add_argument(
        "--folder", type=Path, default=None, help="where files and datasets go; default: a temporary one"
    )
    parser.add_argument("--command", default="extract", help="extract or mine, with further options")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="soundquarry-memory-"))
    folder.mkdir(parents=True, exist_ok=True)
    catalog = arguments.catalog
    if catalog is None:
        catalog = str(folder / "catalog.yaml")
        Path(catalog).write_text("- a dog barking\n")
    peaks = []
    for hours in arguments.hours:
        media = noise(folder / f"noise_{hours:g}h_{arguments.sample_rate}hz.flac", hours, arguments.sample_rate)
        out = folder / f"out_{hours:g}h"
        shutil.rmtree(out, ignore_errors=True)
        command = [*arguments.command.split(), str(media), "--catalog", catalog, "--out", str(out)]
        peak, seconds = peak_of([sys.executable, "-m", "workflows.cli", *command])
        peaks.append(peak)
        print(
            f"{hours:5g} h: peak {peak / GIB:.2f} GiB, {seconds:.0f} s, {hours * 3600 / seconds:.1f} x real time",
            flush=True,
        )
        if not arguments.keep:
            shutil.rmtree(out, ignore_errors=True)
    print(f"ratio {peaks[-1] / peaks[0]:.2f}")
    if arguments.folder is None:
        shutil.rmtree(folder)


def noise(path: Path, hours: float, sample_rate: int) -> Path:
    """A stereo FLAC of pink noise that swells and ebbs."""
    if not path.exists():
        source = f"anoisesrc=color=pink:sample_rate={sample_rate}:duration={hours * 3600}:seed=1,tremolo=f=0.2:d=0.9"
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-ac", "2", str(path)], check=True)
    return path


def peak_of(command: list[str]) -> tuple[int, float]:
    """Peak bytes of the command's process tree, and its seconds. Raises when it fails."""
    began, peak = time.monotonic(), 0
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    root = psutil.Process(run.pid)
    while run.poll() is None:
        total = 0
        for process in [root, *_children(root)]:
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue
        peak = max(peak, total)
        time.sleep(0.25)
    if run.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {run.returncode}")
    return peak, time.monotonic() - began


def _children(root: psutil.Process) -> list[psutil.Process]:
    try:
        return root.children(recursive=True)
    except psutil.Error:
        return []


if __name__ == "__main__":
    main()
