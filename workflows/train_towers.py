"""Train the small CLAP towers from recordings: the step before `soundquarry train mini`.

    python -m workflows.train_towers --data FOLDER [--data FOLDER ...] --held-out labels.txt --work DIR
    soundquarry train mini --set towers=DIR/towers.safetensors --data FOLDER ...

DIR keeps the state, and the same command goes on where it stopped. The file holds a separator as well, as every model
does; that one has learned nothing yet.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from model.checkpoint import save_checkpoint
from model.clap import Clap, ClapConfig
from model.compact_clapsep import CompactCLAPSep, CompactCLAPSepConfig
from model.sentence_encoder import SentenceEncoder
from model.training.clips import ClipLibrary
from model.training.contrastive import ContrastiveTask
from model.training.loop import Schedule, train
from model.training.training_state import StateFile
from operators.whole_file import write_whole
from workflows.label_file import held_out_labels
from workflows.training.clip_library import digest_of, gather
from workflows.training.clip_list import ClipRules


def main() -> None:
    """Train what is left to train, and write the file."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    held_out = held_out_labels(arguments.held_out) if arguments.held_out else frozenset()
    rules = ClipRules(held_out, frozenset(arguments.without_licence))
    gathered = gather(arguments.data, rules, ClapConfig().sample_rate)
    library = gathered.library
    _check_words(library)
    run = {
        "data": arguments.data,
        "held_out_labels": sorted(held_out),
        "without_licence": arguments.without_licence,
        "batch": arguments.batch,
        "clips": len(library.clips),
        "labels": len(library.labels),
        "digest": digest_of(library),
    }
    _claim(arguments.work / "run.json", run)
    print({**gathered.left_out, "unreadable": gathered.unreadable, **run}, flush=True)

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
        provenance={"towers": {**run, "steps": trained.step}},
    )


def _check_words(library: ClipLibrary) -> None:
    if wordless := [label for label in library.labels if not library.wordings[label]]:
        raise SystemExit(
            f"{len(wordless)} of {len(library.labels)} labels have no words that all of their clips share, such as "
            f"{wordless[0]}; give them a caption, or leave their clips out"
        )


def _claim(path: Path, run: dict[str, Any]) -> None:
    """The folder is that of one run on the same clips, whoever goes on with it."""
    if path.exists() and (before := json.loads(path.read_text(encoding="utf-8"))) != run:
        other = next(key for key in run if before.get(key) != run[key])
        raise SystemExit(
            f"{path.parent} holds a run whose {other} was {before.get(other)!r:.200}, now it is {run[other]!r:.200}; "
            "give another --work"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(run, indent=1).encode())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the small CLAP towers.")
    parser.add_argument(
        "--data", action="append", required=True, help="as in `soundquarry train`: folders, tables, 'synthesis', ..."
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
