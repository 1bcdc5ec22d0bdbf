"""Train networks that might become the default one, alike, and hold quality against cost.

    python -m bench.architectures --data DIR --work DIR [--steps N] [--to FILE.md] [--only NAME ...]

DIR of the data holds the unpacked packs. All are trained by text queries on the same mixtures, with the towers of mini,
without the labels of its held-out list, and judged on the development list. What is done lies in WORK.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from bench.architectures.variants import BandSplit, ComplexMask, FilmUNet, FullBins, InnerProduct
from bench.claims.clips import judged
from bench.claims.scores import ArmScores, Judge
from bench.claims.verdicts import Estimate, difference_of, mean_of
from model.compact_clapsep import CompactCLAPSep, CompactCLAPSepConfig
from model.registry import load_model
from model.separator import Condition
from model.training.clips import ClipLibrary
from model.training.fitting import fit
from model.training.recipe import Recipe
from model.training.recipe_file import read_recipe
from model.training.training_state import StateFile
from operators.whole_file import write_whole
from workflows.label_file import held_out_labels
from workflows.training.clip_library import gather
from workflows.training.clip_list import SYNTHESIS, ClipRules

CONFIG: Final = CompactCLAPSepConfig(hop_samples=1024, activity_levels=3)
TEXT: Final = ("queries.source=text", "supervised.sides={positive_only: 1.0, negative_only: 0.0}")
ON_WAVEFORMS: Final = ("supervised.measured_on=waveforms",)
Build = Callable[[CompactCLAPSepConfig], CompactCLAPSep]
ARMS: Final[dict[str, tuple[str, Build, dict[str, Any], tuple[str, ...]]]] = {
    "film_taps": ("FiLM on projected taps, pointwise (mini)", CompactCLAPSep, {}, ()),
    "film_taps_hop_512": ("the same, twice as many frames", CompactCLAPSep, {"hop_samples": 512}, ()),
    "film_taps_wide": ("the same, half as wide again", CompactCLAPSep, {"widths": (72, 144, 240, 384)}, ()),
    "film_taps_128": ("the same on 128 mel bands", CompactCLAPSep, {"bands": 128}, ()),
    "inner_product": ("shared maps, inner product with the query", InnerProduct, {}, ()),
    "film_unet": ("U-Net, FiLM on the whole way up", FilmUNet, {}, ()),
    "band_split": ("band-split recurrent, inner product", BandSplit, {}, ()),
    "film_taps_waveform": ("FiLM on taps, loss on waveforms", CompactCLAPSep, {}, ON_WAVEFORMS),
    "full_bins": ("the same, and a mask for every bin", FullBins, {}, ON_WAVEFORMS),
    "complex_mask": ("the same, and a complex mask", ComplexMask, {}, ON_WAVEFORMS),
}
"""Name -> (what it is, network, what differs in its configuration, what differs in the recipe)."""
QUERIES: Final = 8
ROUNDS: Final = 5


def main() -> None:
    """Do what is left to do, and write the table."""
    asked = _asked()
    (asked.work / "scores").mkdir(parents=True, exist_ok=True)
    towers = load_model("mini").clap.eval().requires_grad_(False)
    held_out = held_out_labels(asked.held_out)
    library = gather([str(asked.data), SYNTHESIS], ClipRules(held_out, frozenset({"NC"})), 32_000).library
    mixtures = judged(asked.data, library)
    seen = np.array([mixture.seen for mixture in mixtures])
    judge = Judge(mixtures, towers, library)
    for name, (_, build, changes, settings) in ARMS.items():
        path = asked.work / "scores" / f"{name}_{asked.steps}.json"
        if path.exists() or (asked.only and name not in asked.only):
            continue
        network = trained(name, build, changes, settings, library, asked)
        judge(network, ("text",)).save(path, arm=name, steps=asked.steps)
    table(asked, seen, towers.width)


def trained(
    name: str,
    build: Build,
    changes: dict[str, Any],
    settings: tuple[str, ...],
    library: ClipLibrary,
    asked: argparse.Namespace,
) -> CompactCLAPSep:
    """The network of an arm after its steps, in eval mode."""
    recipe = recipe_of(settings, asked.steps)
    towers = load_model("mini").clap.eval().requires_grad_(False)
    torch.manual_seed(recipe.seed)
    network = made(build, changes, towers.width).train()
    store = StateFile(asked.work / f"{name}_{asked.steps}.pt")
    tell = lambda row: print(name, row, flush=True)  # noqa: E731
    fitted = fit(recipe, library, towers, store, network=network, on_log=tell).network.eval()
    assert isinstance(fitted, CompactCLAPSep)
    return fitted


def made(build: Build, changes: dict[str, Any], embedding: int) -> CompactCLAPSep:
    """A fresh network of an arm."""
    network = build(replace(CONFIG, embedding=embedding, **changes))
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def recipe_of(settings: tuple[str, ...], steps: int) -> Recipe:
    """That of mini, by text alone, and so many steps."""
    return read_recipe("mini", [*TEXT, f"schedule.steps={steps}", "schedule.average=0.99", *settings])


@torch.inference_mode()
def cost_of(network: CompactCLAPSep) -> dict[str, float]:
    """Milliseconds to encode a window of ten seconds, and to decode one query of it; millions of weights."""
    mixture = torch.randn(1, network.window_samples, generator=torch.Generator().manual_seed(0))
    condition = Condition(torch.randn(QUERIES, 2 * network.config.embedding))
    encoding, decoding = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        features = network.encode(mixture)
        encoding.append(time.perf_counter() - began)
        began = time.perf_counter()
        network.mask(features.repeat(0, QUERIES), condition)
        decoding.append((time.perf_counter() - began) / QUERIES)
    return {
        "encode_ms": 1000 * min(encoding),
        "query_ms": 1000 * min(decoding),
        "weights_m": sum(weight.numel() for weight in network.parameters()) / 1e6,
    }


def table(asked: argparse.Namespace, seen: np.ndarray, embedding: int) -> None:
    """Write what is known, one line per network; costs are measured now, so they compare."""
    lines = [
        "| network | weights | encode a window | decode a query | seen: SI-SDRi, dB | against the first | unseen |",
        "|---|---|---|---|---|---|---|",
    ]
    first: ArmScores | None = None
    for name, (about, build, changes, _) in ARMS.items():
        path = asked.work / "scores" / f"{name}_{asked.steps}.json"
        if path.exists():
            scores, cost = ArmScores.load(path), cost_of(made(build, changes, embedding).eval())
            values = scores.si_sdri_db["text"]
            first = first or scores
            difference: Estimate = difference_of(values, first.si_sdri_db["text"], seen)
            cells = [
                f"`{name}`: {about}",
                f"{cost['weights_m']:.1f} M",
                f"{cost['encode_ms']:.0f} ms",
                f"{cost['query_ms']:.1f} ms",
                str(mean_of(values, seen)),
                str(difference),
                str(mean_of(values, ~seen)),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    text = (
        f"{asked.steps} steps of 16 mixtures, {int(seen.sum())} seen and {int((~seen).sum())} unseen mixtures, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, no GPU.\n\n" + "\n".join(lines) + "\n"
    )
    write_whole(asked.to, text.encode())
    print(text, flush=True)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Quality against cost of networks that are trained alike.")
    parser.add_argument("--data", type=Path, required=True, help="folder with the unpacked packs")
    parser.add_argument("--held-out", type=Path, required=True, help="labels that are not trained on")
    parser.add_argument("--work", type=Path, required=True, help="where states and scores go")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--only", nargs="*", help="networks to train now; default: all")
    parser.add_argument("--to", type=Path, required=True, help="table to write (.md)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
