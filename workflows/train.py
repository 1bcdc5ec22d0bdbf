"""Train: clips and a recipe in, a separator out.

Gather the clips, put the library where all workers see it, train on Ray with mixtures made on other cores, draw the
curve, and export the best network. A run that is killed at any moment goes on from its last state when the same command
is given again.
"""

from __future__ import annotations

import time

from model.checkpoint import check_savable
from model.registry import load_model
from model.training.clips import ClipLibrary
from model.training.networks import build_network
from model.training.schemes import draws_of
from operators.whole_file import place
from workflows.cluster import check_cluster
from workflows.training.checks import check_network, check_words, named_files
from workflows.training.clip_library import Gathered, check_makers, digest_of, gather, refuse_shared, split_off
from workflows.training.clip_list import ClipRules, TrainingDataError
from workflows.training.curves import write_curves
from workflows.training.exported import Done, export_model, forget_done, gate_of, read_done, write_done
from workflows.training.job import MODEL_FILE, TrainJob, check_clips, claim_out, write_run
from workflows.training.ownership import Ownership
from workflows.training.ray_run import train_on_ray
from workflows.training.training_progress import TrainingProgress, TrainSummary


def train(job: TrainJob, progress: TrainingProgress) -> TrainSummary:
    """Run the job. Raises for what is wrong with the job as a whole, before the first step."""
    began = time.monotonic()
    check_cluster(job.address)
    check_makers([*job.data, *job.validation])
    files = named_files(job.recipe)
    towers = load_model(job.recipe.towers).clap
    network = build_network(job.recipe.network, towers, job.recipe.seed)
    check_savable(network, towers, gate_of(job.recipe, network))
    claim_out(job)
    progress.start("reading clips ...")
    try:
        gathered, training, validation = _libraries(job, network.sample_rate)
        draws = draws_of(job.recipe, training, network.sample_rate)
        check_network(job.recipe, network, towers, draws[0])
        digests = {"clips": digest_of(training), "clips to validate on": digest_of(validation), **files}
        check_clips(job, digests)
        found = {
            "digests": digests,
            "clips": len(training.clips),
            "validation_clips": len(validation.clips),
            "labels": len(training.labels),
            "left_out": gathered.left_out,
            "unreadable": gathered.unreadable,
        }

        def own() -> Ownership:
            """Become the one who writes into OUT, if it is still free or of the same run, and say what was found."""
            claim_out(job)
            check_clips(job, digests)
            ownership = Ownership.take(place(job.out))
            write_run(job, found)
            return ownership

        done_before = read_done(job.out)
        done = done_before
        if done is None or done.steps < job.recipe.schedule.steps:
            state = train_on_ray(job, own, draws, validation, progress)
            done, done_before = Done(state["step"], state["best_score"]), None
    finally:
        progress.stop()
    if done_before is None:
        write_curves(state["curve"], job.out)
        forget_done(job.out)
        export_model(job.recipe, state, job.out, {"data": list(job.data), **found})
        write_done(done, job.out)
    return TrainSummary(
        model=(place(job.out) / MODEL_FILE).uri,
        steps=done.steps,
        score=done.score,
        clips=len(training.clips),
        labels=len(training.labels),
        left_out=gathered.left_out,
        unreadable=gathered.unreadable,
        seconds=time.monotonic() - began,
        done_before=done_before is not None,
    )


def _libraries(job: TrainJob, sample_rate: int) -> tuple[Gathered, ClipLibrary, ClipLibrary]:
    """What was gathered, and of it the clips to train and to validate on."""
    rules = ClipRules(job.held_out_labels, job.unwanted_licences)
    gathered = gather(job.data, rules, sample_rate)
    check_words(job, gathered.library)
    if not job.validation:
        return gathered, *split_off(gathered.library, job.validation_share)
    validation = gather(job.validation, rules, sample_rate).library
    refuse_shared(gathered.library, validation)
    if len(validation.labels) < 2:
        raise TrainingDataError(
            f"{', '.join(job.validation)} has clips of {len(validation.labels)} label, and a mixture to validate on "
            "needs 2; give more"
        )
    return gathered, gathered.library, validation
