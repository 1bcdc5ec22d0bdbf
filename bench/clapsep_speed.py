"""CLAPSep at published size: how fast it is here, beside the authors' own loop on the same weights and recording.

    python -m bench.published_weights --out WEIGHTS
    soundquarry models import --unverified --checkpoint WEIGHTS/best_model.ckpt \
        --clap WEIGHTS/music_audioset_epoch_15_esc_90.14.pt --tokenizer WEIGHTS/tokenizer \
        --out MODELS/clapsep-random.safetensors
    python -m bench.clapsep_speed FILE --catalog bench/everyday32.yaml --model MODELS/clapsep-random.safetensors \
        --weights WEIGHTS --authors CHECKOUT [--site DIR] [--queries 1 8 32] [--limit-seconds 600]

Every line is a process of its own. "x queries/s", audio seconds times queries per second, counts all of the work from
the file to the stems: texts, decoding, windows, cross-fade. The ways without the gate do what the authors' loop does;
the way with it also runs the gate's network and embeds every stem for its similarity, as the pipeline does and theirs
does not. Loading of the model is left out on both sides. The peak is that of the process's own memory. The first line
says what the device multiplies at best; lines without the gate end with the share of it that they reach, by the windows
and pairs that were computed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workflows.cluster import WORKER_ENVIRONMENT

WAYS: dict[str, dict[str, Any]] = {
    "float32, no gate": {"precision": "float32", "gate": False},
    "bfloat16, no gate": {"precision": "bfloat16", "gate": False},
    "bfloat16, gate": {"precision": "bfloat16", "gate": True},
}
GFLOP_PER_PAIR = 45.0
GFLOP_PER_WINDOW = 33.0


def main() -> None:
    """Print one line per way and number of queries."""
    parser = argparse.ArgumentParser(description="Speed of CLAPSep at published size.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--catalog", required=True)
    parser.add_argument("--model", default="clapsep")
    parser.add_argument("--queries", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--limit-seconds", type=float, default=600.0)
    parser.add_argument("--gate-threshold", type=float, default=0.5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--authors", type=Path)
    parser.add_argument("--site", type=Path)
    parser.add_argument("--way", choices=[*WAYS, "peak"], help="one measurement in this process, as JSON")
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(_peak(arguments.device) if arguments.way == "peak" else _ours(arguments)))
        return
    peak = _measured(arguments, "peak", 0)
    print(f"products of 2048^3: {peak['float32']:.0f} GFLOP/s in float32, {peak['bfloat16']:.0f} in bfloat16")
    print("with the gate every stem is embedded as well; without it, as in the authors' loop, none is")
    print("queries  way                 x queries/s   ratio   seconds   CPU s   decoded   peak GiB")
    for queries in arguments.queries:
        lines = {"authors' loop": _authors(arguments, queries)} if arguments.authors else {}
        lines |= {way: _measured(arguments, way, queries) for way in WAYS}
        first = next(iter(lines.values()))
        for way, line in lines.items():
            rate = line["audio_seconds"] * queries / line["seconds"]
            base = first["audio_seconds"] * queries / first["seconds"]
            print(
                f"{queries:7}  {way:18} {rate:12.1f} {rate / base:7.2f} {line['seconds']:9.1f} "
                f"{line['cpu_seconds']:7.1f} {line.get('decoded_share', 1.0):9.1%} "
                f"{line['peak_rss_bytes'] / 2**30:10.2f}" + _roofline(line, way, peak),
                flush=True,
            )


def _ours(arguments: argparse.Namespace) -> dict[str, Any]:
    """The engine on the file's first seconds, as a worker of the pipeline runs it."""
    from model.registry import load_model
    from operators.catalog import Catalog, load_catalog
    from operators.query_conditions import understand
    from operators.stem_engine import Coverage, StemEngine

    way = WAYS[arguments.way]
    model = load_model(arguments.model)
    catalog = load_catalog(arguments.catalog)
    asked = [query.model_copy(update={"text": query.text[:1]}) for query in catalog.queries[: arguments.queries[0]]]
    catalog = Catalog(name=catalog.name, queries=tuple(asked))  # one wording each, as the authors' loop takes it
    model.clap.embed_text(["a sound"])  # the text tower is loaded when it is first asked
    began, cpu = time.perf_counter(), time.process_time()
    understood = understand(catalog, model)
    threshold = arguments.gate_threshold if way["gate"] else 0.0
    engine = StemEngine(
        model, understood.condition, [threshold] * len(catalog.queries), gate=way["gate"],
        precision=way["precision"], device=arguments.device,
    )  # fmt: skip
    model.clap.set_precision(engine.precision)
    samples = _decoded(arguments.file, engine.sample_rate, arguments.limit_seconds)
    positive, looked = understood.positive.to(arguments.device), Coverage()
    similarities = list[float]()
    for stretch in engine.stretches(samples, 0, 0, samples.shape[1], looked):
        if way["gate"]:
            similarities.append(float(_embedding(model, stretch) @ positive[stretch.query]))
    seconds = time.perf_counter() - began
    decoded = np.stack(looked.presence) >= threshold  # (windows, Q)
    decoded[looked.silent] = False
    return {
        "audio_seconds": samples.shape[1] / engine.sample_rate,
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu,
        "decoded_share": float(decoded.mean()),
        "windows": int(decoded.any(axis=1).sum()),
        "pairs": int(decoded.sum()),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "mean_similarity": float(np.mean(similarities)) if similarities else None,
    }


@torch.inference_mode()
def _embedding(model: Any, stretch: Any) -> torch.Tensor:
    import soxr

    sound = soxr.resample(stretch.best_window, stretch.sample_rate, model.clap.sample_rate)
    embedding: torch.Tensor = model.clap.embed_audio(torch.from_numpy(sound)[None])[0]
    return embedding


def _decoded(file: Path, sample_rate: int, seconds: float) -> np.ndarray[Any, Any]:
    """Mono samples [1, T], as the authors' loop hears the file."""
    command = ["ffmpeg", "-v", "error", "-i", str(file), "-t", str(seconds), "-af", "aresample=rematrix_maxval=1.0"]
    command += ["-ac", "1", "-ar", str(sample_rate), "-f", "f32le", "-"]
    pcm = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(pcm, np.float32)[None].copy()


def _peak(device: str) -> dict[str, float]:
    """GFLOP/s of plain products on a device, the best of ten."""
    found = {}
    for name in ("float32", "bfloat16"):
        a, b = (torch.randn(2048, 2048).to(device, getattr(torch, name)) for _ in range(2))
        found[name] = 2 * 2048**3 / min(_timed(a, b) for _ in range(10)) / 1e9
    return found


def _timed(a: torch.Tensor, b: torch.Tensor) -> float:
    wait = torch.cuda.synchronize if a.is_cuda else (lambda: None)
    wait()
    began = time.perf_counter()
    a @ b
    wait()
    return time.perf_counter() - began


def _roofline(line: dict[str, Any], way: str, peak: dict[str, float]) -> str:
    if "windows" not in line or "no gate" not in way:
        return ""
    gflop = GFLOP_PER_WINDOW * line["windows"] + GFLOP_PER_PAIR * line["pairs"]
    return f"   {gflop / line['seconds'] / peak[WAYS[way]['precision']]:.0%} of the roofline"


def _measured(arguments: argparse.Namespace, way: str, queries: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.clapsep_speed", str(arguments.file), "--catalog", arguments.catalog]
    command += ["--model", arguments.model, "--queries", str(queries), "--way", way, "--device", arguments.device]
    command += ["--limit-seconds", str(arguments.limit_seconds), "--gate-threshold", str(arguments.gate_threshold)]
    return {**_json_of(command, WORKER_ENVIRONMENT), "queries": queries}


def _authors(arguments: argparse.Namespace, queries: int) -> dict[str, Any]:
    from operators.catalog import load_catalog

    command = [sys.executable, "-m", "bench.authors_clapsep", "loop", str(arguments.file)]
    for query in load_catalog(arguments.catalog).queries[:queries]:
        command += ["--query", query.query_text]
    command += ["--authors", str(arguments.authors), "--weights", str(arguments.weights), "--device", arguments.device]
    command += ["--limit-seconds", str(arguments.limit_seconds)]
    command += ["--site", str(arguments.site)] if arguments.site else []
    return _json_of(command)


def _json_of(command: list[str], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
