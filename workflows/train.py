"""Train: clips and a recipe in, a separator out.

Gather the clips, put the library where all workers see it, train on Ray with mixtures made on other cores, draw the
curve, and export the best network. A run that is killed at any moment goes on from its last state when the same command
is given again.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyarrow.fs import FSSpecHandler, PyFileSystem

from model.registry import load_model
from model.training.clips import ClipLibrary
from model.training.mixtures import MixtureDraw
from model.training.networks import build_network
from model.training.schemes import draws_of, needs_words
from model.training.training_state import State, read_state
from operators.whole_file import place
from workflows.cluster import check_cluster, ray_cluster
from workflows.training.clip_library import Gathered, gather, split_off
from workflows.training.clip_list import ClipRules, TrainingDataError
from workflows.training.curves import write_curves
from workflows.training.exported import export_model
from workflows.training.job import TrainJob, claim_out, write_run
from workflows.training.placement import training_placement
from workflows.training.scoreboard import remote_scoreboard
from workflows.training.training_progress import TrainingProgress, TrainSummary
from workflows.training.worker import STATE_FILE, WorkerOrders, train_worker

KEPT_STATES = 2
"""Of a run; the one before the last is there if the last cannot be read."""
LOOKS_EVERY_SECONDS = 0.5
LOST_WORKERS = 3
"""So often a run goes on from its last state when a worker or its node is lost. Our choice."""


def train(job: TrainJob, progress: TrainingProgress) -> TrainSummary:
    """Run the job. Raises for what is wrong with the job as a whole, before the first step."""
    began = time.monotonic()
    check_cluster(job.address)
    network = build_network(job.recipe.network, _towers_width(job.recipe.towers), job.recipe.seed)
    sample_rate = network.sample_rate
    del network
    claim_out(job)
    progress.start("reading clips ...")
    try:
        gathered, training, validation = _libraries(job, sample_rate)
        draws = draws_of(job.recipe, training, sample_rate)
        found = {
            "clips": len(training.clips),
            "validation_clips": len(validation.clips),
            "labels": len(training.labels),
            "left_out": gathered.left_out,
            "unreadable": gathered.unreadable,
        }
        write_run(job, found)
        state = _trained(job, draws, validation, progress)
    finally:
        progress.stop()
    write_curves(state["curve"], job.out)
    model = export_model(job.recipe, state, job.out, {"data": list(job.data), **found})
    return TrainSummary(
        model=model,
        steps=state["step"],
        score=state["best_score"],
        clips=len(training.clips),
        labels=len(training.labels),
        left_out=gathered.left_out,
        unreadable=gathered.unreadable,
        seconds=time.monotonic() - began,
    )


def _libraries(job: TrainJob, sample_rate: int) -> tuple[Gathered, ClipLibrary, ClipLibrary]:
    """What was gathered, and of it the clips to train and to validate on."""
    rules = ClipRules(job.held_out_labels, job.unwanted_licences)
    gathered = gather(job.data, rules, sample_rate)
    _check_words(job, gathered.library)
    if not job.validation:
        return gathered, *split_off(gathered.library, job.validation_share)
    validation = gather(job.validation, rules, sample_rate).library
    if len(validation.labels) < 2:
        raise TrainingDataError(
            f"{', '.join(job.validation)} has clips of {len(validation.labels)} label, and a mixture to validate on "
            "needs 2; give more"
        )
    return gathered, gathered.library, validation


def _check_words(job: TrainJob, library: ClipLibrary) -> None:
    """Raises TrainingDataError where clips are to be asked for by words that nobody knows."""
    wordless = [label for label in library.labels if not library.wordings[label]]
    if wordless and needs_words(job.recipe):
        raise TrainingDataError(
            f"{job.recipe_name} asks for clips by their captions, and {len(wordless)} of {len(library.labels)} labels "
            f"have none (first: {wordless[0]}); add a column caption, or train by a recipe that needs none "
            "(audio_only, retrieval, mixed)"
        )


def _trained(
    job: TrainJob, draws: tuple[MixtureDraw, ...], validation: ClipLibrary, progress: TrainingProgress
) -> State:
    """The state at the end of the run."""
    with ray_cluster(job.address):
        import ray
        from ray import train as ray_train
        from ray.train.torch import TorchTrainer

        where = training_placement(job.device, job.workers, job.mixers)
        scoreboard = remote_scoreboard()
        orders = WorkerOrders(
            recipe=job.recipe,
            draws=ray.put(draws),
            validation=ray.put(validation),
            scoreboard=scoreboard,
            mixers=where.mixers,
            threads=where.threads,
        )
        out = place(job.out)
        folder, _, name = out.path.rstrip("/").rpartition("/")
        trainer = TorchTrainer(
            lambda: train_worker(orders),
            scaling_config=ray_train.ScalingConfig(
                num_workers=where.workers, use_gpu=where.use_gpu, resources_per_worker=where.resources
            ),
            run_config=ray_train.RunConfig(
                name=name,
                storage_path=folder,
                storage_filesystem=None if out.is_local else PyFileSystem(FSSpecHandler(out.fs)),
                checkpoint_config=ray_train.CheckpointConfig(num_to_keep=KEPT_STATES),
                failure_config=ray_train.FailureConfig(max_failures=LOST_WORKERS),
            ),
        )
        with _drawn(scoreboard, progress):
            result = trainer.fit()
        if result.error is not None:
            raise result.error
        with result.checkpoint.as_directory() as directory:
            return read_state(Path(directory) / STATE_FILE)


@contextlib.contextmanager
def _drawn(scoreboard: Any, progress: TrainingProgress) -> Iterator[None]:
    """Draws the rows of the scoreboard meanwhile."""
    import ray

    over, told = threading.Event(), 0

    def draw() -> None:
        nonlocal told
        rows = ray.get(scoreboard.rows.remote())
        for row in rows[told:]:
            progress.advance(row)
        told = len(rows)

    def keep_drawing() -> None:
        while not over.wait(LOOKS_EVERY_SECONDS):
            draw()

    thread = threading.Thread(target=keep_drawing, daemon=True)
    thread.start()
    try:
        yield
        over.set()
        thread.join()
        draw()
    finally:
        over.set()


def _towers_width(name: str) -> int:
    return load_model(name).clap.width
