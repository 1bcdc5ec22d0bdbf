"""Training of everything the claims need, each once: what is done lies in WORK and is not done again.

towers -> text vectors of captions -> caches;  pretrained encoder;  every arm, on split B
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from bench.claims.arms import CACHES, COMMON, LARGEST, Arm
from bench.claims.clips import SAMPLE_RATE
from bench.claims.gap import ApartTowers
from model.caption_cache import CaptionCache
from model.captions.grammar import captions
from model.clap import Clap, ClapConfig
from model.sentence_encoder import SentenceEncoder
from model.separator import MaskNetwork
from model.towers_signature import towers_signature
from model.training.clips import ClipLibrary
from model.training.contrastive import ContrastiveTask
from model.training.encoder_pretraining import EncoderObjective, EncoderTower, save_encoder
from model.training.fitting import fit
from model.training.loop import Schedule, train
from model.training.mixtures import MixtureDraw, MixtureSettings
from model.training.networks import build_network
from model.training.query_texts import TextQueries
from model.training.recipe_file import read_recipe
from model.training.schemes import Part, task_of
from model.training.training_state import Row, StateFile

TOWER_STEPS = 400
ENCODER_STEPS = 400
SEED = 3


def towers_of(library: ClipLibrary, work: Path, log: Callable[[Row], None]) -> Clap:
    """CLAP towers that were trained on `library`."""
    torch.manual_seed(SEED)
    sentences = SentenceEncoder()
    clap = Clap(ClapConfig(), sentences)
    task = ContrastiveTask(clap, library, sentences(library.captions), batch=48, seed=SEED)
    schedule = Schedule(steps=TOWER_STEPS, rate=2e-3, decay_share=0.5, average=0.99)
    state = train(clap, task, schedule, StateFile(work / "towers.pt"), on_log=log)
    clap.load_state_dict(state.average.module.state_dict())
    return clap.eval().requires_grad_(False)


def caches_of(towers: Clap, work: Path) -> dict[int, Path]:
    """Caption caches by the number of their captions; smaller ones hold the first of the largest."""
    paths = {count: work / f"captions_{count}.safetensors" for count in CACHES}
    if not all(path.exists() for path in paths.values()):
        whole = CaptionCache.embed(captions(LARGEST, SEED), towers)
        for count, path in paths.items():
            replace(whole, captions=whole.captions[:count], vectors=whole.vectors[:count]).save(path)
    return paths


def cache_for(arm: Arm, towers: Clap, work: Path) -> Path:
    """The cache that an arm looks captions up in. Towers that are apart embed words as they did before."""
    path = caches_of(towers, work)[arm.cache or LARGEST]
    if not arm.apart:
        return path
    own = work / f"captions_apart_{arm.cache}.safetensors"
    if not own.exists():
        apart = towers_signature(ApartTowers(towers, arm.apart))
        replace(CaptionCache.open(path, towers), towers=apart).save(own)
    return own


def encoder_of(library: ClipLibrary, towers: Clap, work: Path, log: Callable[[Row], None]) -> Path:
    """The mixture encoder of the arms, pretrained contrastively on `library` against the text tower."""
    path = work / "encoder.safetensors"
    if not path.exists():
        recipe = read_recipe("supervised_text", [*COMMON, f"schedule.steps={ENCODER_STEPS}"])
        network = build_network(recipe.network, towers, recipe.seed)
        with torch.no_grad():
            width = network.encode(torch.zeros(1, SAMPLE_RATE)).maps[0].shape[-1]
        tower = EncoderTower(network, width, towers.width)
        draw = MixtureDraw(library, MixtureSettings(batch=24, seconds=3.2), SAMPLE_RATE, SEED)
        parts = [Part(EncoderObjective(tower, TextQueries(towers)))]
        task = task_of(parts, lambda step: (draw(step),), SEED)
        state = train(tower, task, recipe.schedule, StateFile(work / "encoder.pt"), on_log=log)
        trained = state.average.module
        assert isinstance(trained, EncoderTower)
        save_encoder(path, trained.network, {"steps": ENCODER_STEPS})
    return path


def with_words(library: ClipLibrary, arm: Arm) -> ClipLibrary:
    """Split B as an arm knows it."""
    if arm.words == "all":
        return library
    quarter = set(sorted(library.labels)[::4]) if arm.words == "quarter" else set[str]()
    if arm.only_captioned:
        return library.only(lambda clip: clip.label in quarter)
    wordings = {label: words for label, words in library.wordings.items() if label in quarter}
    groups = {
        name: ([label for label in labels if label in quarter], words)
        for name, (labels, words) in library.groups.items()
    }
    return ClipLibrary(library.clips, wordings, groups, captioned=False)


def train_arm(
    arm: Arm,
    steps: int,
    library: ClipLibrary,
    towers: Clap,
    work: Path,
    paths: dict[str, Path],
    log: Callable[[Row], None],
) -> MaskNetwork:
    """The network of an arm after `steps` steps."""
    recipe = arm.recipe_for(steps, **paths)
    asked_by = ApartTowers(towers, arm.apart) if arm.apart else towers
    return fit(
        recipe, with_words(library, arm), asked_by, StateFile(work / f"{arm.name}_{steps}.pt"), on_log=log
    ).network
