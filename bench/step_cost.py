"""What a training step of a recipe costs, for several settings of it, in one run.

    python bench/step_cost.py mini --set supervised.measured_on=bands --set supervised.measured_on=waveforms

Every --set is a variant (settings of one variant are joined by "+"). Examples are drawn beforehand from synthesised
sounds; drawing them is timed apart, since mixing actors do it on other cores. Prints the median over the steps.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from model.registry import load_model
from model.training.networks import build_network
from model.training.recipe_file import read_recipe
from model.training.schemes import draws_of, parts_of, task_of
from workflows.training.clip_library import gather
from workflows.training.clip_list import SYNTHESIS, ClipRules

DRAWN = 4


def main() -> None:
    """Print one line per variant."""
    parser = argparse.ArgumentParser(description="What a training step costs.")
    parser.add_argument("recipe")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE[+KEY=VALUE]", help="a variant")
    parser.add_argument("--steps", type=int, default=12)
    asked = parser.parse_args()
    library = None
    for variant in asked.set or [""]:
        recipe = read_recipe(asked.recipe, [setting for setting in variant.split("+") if setting])
        towers = load_model(recipe.towers).clap.eval().requires_grad_(False)
        network = build_network(recipe.network, towers, recipe.seed)
        library = library or gather([SYNTHESIS], ClipRules(), network.sample_rate, synthetic_per_label=2).library
        draws = draws_of(recipe, library, network.sample_rate)
        began = time.perf_counter()
        examples = [tuple(draw(step) for draw in draws) for step in range(DRAWN)]
        drawing = (time.perf_counter() - began) / DRAWN
        task = task_of(
            parts_of(recipe, network, towers, draws[0]), lambda step, drawn=examples: drawn[step % DRAWN], recipe.seed
        )
        optimizer = torch.optim.AdamW(network.parameters())
        taken = []
        for step in range(asked.steps + 2):
            began = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                terms = task(step)
            optimizer.zero_grad()
            terms["loss"].backward()
            optimizer.step()
            taken.append(time.perf_counter() - began)
        weights = sum(weight.numel() for weight in network.parameters()) / 1e6
        print(
            f"{variant or asked.recipe}: {statistics.median(taken[2:]):.2f} s a step, {drawing:.2f} s to draw it, "
            f"{weights:.1f} M weights, {torch.get_num_threads()} threads"
        )


if __name__ == "__main__":
    main()
