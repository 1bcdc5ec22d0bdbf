"""What a query costs: encode once, decode many, on this machine, in one run.

    python bench/model_cost.py [--model mini] [--channels 1] [--rate 32000] [--windows 12]

Times one minute and a half of noise through the engine of the pipeline (gate open, cross-fade and inverse transform
included, decoding and FLAC not), for catalogs of 1, 8 and 32 queries, alternating, and prints the best of three rounds.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

import numpy as np
import torch
from torch.nn import functional

from model.registry import load_model
from model.separator import Condition
from operators.stem_engine import Coverage, StemEngine
from workflows.cluster import WORKER_ENVIRONMENT

COUNTS = (1, 8, 32)


def main() -> None:
    """Print seconds, x real time and the ratio to one query."""
    parser = argparse.ArgumentParser(description="Cost of a query.")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--rate", type=int, help="of the samples, in Hz; default: the network's own")
    parser.add_argument("--windows", type=int, default=12)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in WORKER_ENVIRONMENT.items()):
        # As in a worker of the pipeline; read by OpenMP and malloc when the process starts.
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **WORKER_ENVIRONMENT})
    torch.set_num_threads(arguments.threads)
    model = load_model(arguments.model)
    generator = torch.Generator().manual_seed(0)
    embedding = functional.normalize(torch.randn(max(COUNTS), 2 * model.clap.width, generator=generator), dim=-1)
    best = dict.fromkeys(COUNTS, float("inf"))
    for _ in range(3):
        for count in COUNTS:
            engine = StemEngine(model, Condition(embedding[:count]), [0.0] * count, gate=False, window_batch=2)
            rate = arguments.rate or engine.sample_rate
            grid = engine.grid_at(rate)
            samples = grid.hop * arguments.windows - grid.fade
            noise = np.random.default_rng(0).standard_normal((arguments.channels, samples)).astype(np.float32) * 0.1
            began = time.perf_counter()
            for _ in engine.stretches(noise, 0, 0, samples, Coverage(), rate):
                continue
            best[count] = min(best[count], time.perf_counter() - began)
    seconds = samples / rate
    print(
        f"{seconds:.0f} s of audio at {rate} Hz, {arguments.channels} channel(s), "
        f"{torch.get_num_threads()} threads, model {model.signature}"
    )
    for count in COUNTS:
        print(
            f"{count:3} queries: {best[count]:7.2f} s, {seconds / best[count]:6.1f} x real time, "
            f"{best[count] / best[1]:5.2f} x one query"
        )


if __name__ == "__main__":
    main()
