"""Train the default model from recordings: CLAP towers first, then the separator, then one checkpoint.

    python -m workflows.train_mini --data FOLDER [--data FOLDER ...] --held-out labels.txt --work DIR [--steps N]

Each stage writes its state to the working directory and goes on from there when it is started again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from model.clap import Clap, ClapConfig
from model.compact_clapsep import CompactCLAPSep, CompactCLAPSepConfig
from model.sentence_encoder import SentenceEncoder
from model.training.clips import ClipLibrary
from model.training.contrastive import ContrastiveTask
from model.training.loop import Schedule, train
from model.training.separation import SeparationRecipe, SeparationTask
from model.training.training_state import StateFile
from workflows.label_file import held_out_labels
from workflows.training.clip_library import gather
from workflows.training.clip_list import SYNTHESIS, ClipRules


def main() -> None:
    """Run the stages that are not finished yet."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    held_out = held_out_labels(arguments.held_out) if arguments.held_out else frozenset()
    rules = ClipRules(held_out, frozenset({"NC"}))
    gathered = gather([*map(str, arguments.data), SYNTHESIS], rules, ClapConfig().sample_rate)
    library = gathered.library
    counts = {"clips": len(library.clips), "labels": len(library.labels), "captions": len(library.captions)}
    print({**gathered.left_out, "unreadable": gathered.unreadable, **counts}, flush=True)
    sentences = SentenceEncoder()(library.captions)

    torch.manual_seed(0)
    clap = Clap(ClapConfig())
    contrastive = ContrastiveTask(clap, library, sentences)
    schedule = Schedule(steps=arguments.clap_steps, rate=2e-3, decay_share=0.5)
    trained = train(clap, contrastive, schedule, StateFile(arguments.work / "clap.pt"))
    clap.load_state_dict(trained.average.module.state_dict())
    clap.eval()

    torch.manual_seed(0)
    network = CompactCLAPSep(CompactCLAPSepConfig()).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        text = clap.embed_sentences(sentences).clone()
        audio = embed_clips(clap, library).clone()
    task = SeparationTask(network, library, text.detach(), audio, sentences, SeparationRecipe(batch=arguments.batch))
    schedule = Schedule(steps=arguments.steps, rate=1.2e-3, decay_share=0.4)
    train(network, task, schedule, StateFile(arguments.work / "separator.pt"))


def embed_clips(clap: Clap, library: ClipLibrary, *, seconds: float = 5.0) -> torch.Tensor:
    """Audio embedding of every clip (its first seconds, shorter ones followed by silence), Tensor[clips, D]."""
    samples = int(seconds * clap.sample_rate)
    sounds = torch.zeros(len(library.clips), samples)
    for row, clip in enumerate(library.clips):
        part = torch.from_numpy(clip.audio[:samples].copy())
        sounds[row, : len(part)] = part
    return torch.cat([clap.embed_audio(chunk) for chunk in sounds.split(64)])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the default model.")
    parser.add_argument(
        "--data", type=Path, action="append", required=True, help="folder with manifests/ and captions; repeat for more"
    )
    parser.add_argument("--held-out", type=Path, help="file with labels that must not be trained on")
    parser.add_argument("--work", type=Path, required=True, help="where checkpoints go")
    parser.add_argument("--clap-steps", type=int, default=500)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
