"""Turn the training state of `workflows.train_mini` into the one checkpoint that ships: averaged weights,
calibration, provenance."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from model.checkpoint import Calibration, save_checkpoint
from model.clap import Clap, ClapConfig
from model.compact_clapsep import CompactCLAPSep, CompactCLAPSepConfig


def main() -> None:
    """Write the checkpoint named by `--to`."""
    parser = argparse.ArgumentParser(description="Export the default model.")
    parser.add_argument("--work", type=Path, required=True, help="working directory of the training")
    parser.add_argument("--to", type=Path, required=True, help="checkpoint to write (.safetensors)")
    parser.add_argument("--provenance", type=Path, required=True, help="JSON with data, licences and recipe")
    parser.add_argument("--presence-threshold", type=float, default=0.5)
    parser.add_argument("--event-threshold", type=float, default=0.5)
    arguments = parser.parse_args()
    separator, clap = CompactCLAPSep(CompactCLAPSepConfig()), Clap(ClapConfig())
    state = torch.load(arguments.work / "separator.pt", map_location="cpu", weights_only=True)
    separator.load_state_dict(state["average"])
    clap.load_state_dict(torch.load(arguments.work / "clap.pt", map_location="cpu", weights_only=True)["average"])
    save_checkpoint(
        arguments.to,
        separator=separator,
        clap=clap,
        calibration=Calibration(arguments.presence_threshold, arguments.event_threshold),
        provenance={**json.loads(arguments.provenance.read_text()), "steps": state["step"]},
    )
    print(f"{arguments.to}: {arguments.to.stat().st_size / 1e6:.1f} MB after {state['step']} steps")


if __name__ == "__main__":
    main()
