"""Train the small CLAP towers from recordings: the step before `soundquarry train mini`.

    python -m workflows.train_towers --data FOLDER [--data FOLDER ...] --held-out labels.txt --work DIR
    soundquarry train mini --set towers=DIR/towers.safetensors --data FOLDER ...

DIR keeps the state, and the same command goes on where it stopped. The file holds a separator as well, as every model
does; that one has learned nothing yet.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from model.checkpoint import save_checkpoint
from model.clap import Clap, ClapConfig
from model.compact_clapsep import CompactCLAPSep, CompactCLAPSepConfig
from model.sentence_encoder import SentenceEncoder
from model.training.contrastive import ContrastiveTask
from model.training.loop import Schedule, train
from model.training.training_state import StateFile
from workflows.label_file import held_out_labels
from workflows.training.clip_library import gather
from workflows.training.clip_list import SYNTHESIS, ClipRules


def main() -> None:
    """Train what is left to train, and write the file."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    held_out = held_out_labels(arguments.held_out) if arguments.held_out else frozenset()
    rules = ClipRules(held_out, frozenset(arguments.without_licence))
    gathered = gather([*map(str, arguments.data), SYNTHESIS], rules, ClapConfig().sample_rate)
    library = gathered.library
    counts = {"clips": len(library.clips), "labels": len(library.labels), "captions": len(library.captions)}
    print({**gathered.left_out, "unreadable": gathered.unreadable, **counts}, flush=True)

    torch.manual_seed(0)
    sentences = SentenceEncoder()
    clap = Clap(ClapConfig(), sentences)
    schedule = Schedule(steps=arguments.steps, rate=2e-3, decay_share=0.5)
    task = ContrastiveTask(clap, library, sentences(library.captions), batch=arguments.batch)
    trained = train(clap, task, schedule, StateFile(arguments.work / "towers.pt"))
    clap.load_state_dict(trained.average.module.state_dict())
    save_checkpoint(
        arguments.work / "towers.safetensors",
        separator=CompactCLAPSep(CompactCLAPSepConfig(embedding=clap.width)),
        clap=clap.eval(),
        provenance={"towers": {**counts, "steps": trained.step}},
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the small CLAP towers.")
    parser.add_argument(
        "--data", type=Path, action="append", required=True, help="folder with manifests/ and captions; repeat for more"
    )
    parser.add_argument("--held-out", type=Path, help="file with labels that must not be trained on")
    parser.add_argument("--without-licence", action="append", default=[], help="leave out clips of such a licence")
    parser.add_argument("--work", type=Path, required=True, help="where the state and the file go")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


if __name__ == "__main__":
    main()
