"""Evaluate: separation quality on a list of mixtures, ours or a published one.

Read the list and check every row of it, choose what each mixture is asked, separate and score them on Ray, and put the
rows back into the order of the list. What is told of them is in `workflows/evaluation/report.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa

from model.registry import load_model
from operators.stem_engine import Precision
from workflows.cluster import ClusterError, check_cluster, check_folder, check_model, placement, ray_cluster
from workflows.device import device_here
from workflows.evaluation.lists import read_list
from workflows.evaluation.mixtures import ListError, MixtureList
from workflows.evaluation.questions import Asking, Question, questions_of
from workflows.evaluation.rows import RowScores, from_table
from workflows.evaluation.stage import ScoreMixtures

BATCH: Final = 8
"""Mixtures that a worker takes at a time."""

Told = Callable[[int, int], None]
"""Is told how many mixtures are done, of how many."""


@dataclass(frozen=True)
class EvaluateJob:
    """What a person asked for. `device`, `precision`, `workers` and `address` are as in `extract`."""

    list_csv: Path
    root: Path
    model: str = "mini"
    asking: Asking = field(default_factory=Asking)
    bss: bool = False
    limit: int | None = None
    device: str = "auto"
    precision: Precision = "auto"
    workers: int | None = None
    address: str | None = None


@dataclass(frozen=True)
class Evaluation:
    """Scores of every row, in the order of the list, and what they were made by."""

    rows: list[RowScores]
    listed: MixtureList
    asking: Asking
    model: str
    model_signature: str
    device: str
    precision: str
    """What the network computed in: float32 or bfloat16."""


def evaluate(job: EvaluateJob, told: Told = lambda done, of: None) -> Evaluation:
    """Run the job. Raises ListError, DeviceError, PrecisionError and ClusterError for what is wrong with it as a whole,
    before anything is separated; a row that fails is a row with an error."""
    listed = read_list(job.list_csv, job.root)
    if job.limit is not None and job.limit < 1:
        raise ListError(f"--limit is {job.limit}; give at least 1")
    questions = questions_of(listed, job.root, job.asking, job.limit)
    check_cluster(job.address)
    if not (job.address or os.environ.get("RAY_ADDRESS")):
        device_here(job.device)
    model = load_model(job.model)
    model.separator.precision(job.precision, "cpu")  # raises for what no device can
    signature, network = model.signature, model.separator
    with ray_cluster(job.address):
        where = placement(job.device, job.workers, -(-len(questions) // BATCH))
        chosen = str(network.precision(job.precision, where.device)).removeprefix("torch.")
        del model, network  # a gigabyte or more, which the workers want
        rows = []
        for scored in _scored(job, questions, signature):
            rows += scored
            told(len(rows), len(questions))
    rows.sort(key=lambda row: row.row)
    return Evaluation(rows, listed, job.asking, job.model, signature, where.device, chosen)


def _scored(job: EvaluateJob, questions: list[Question], signature: str) -> Iterator[list[RowScores]]:
    """Rows of every batch, in the order in which they are done."""
    import ray
    from ray.data import ActorPoolStrategy
    from ray.exceptions import RayError

    from operators.attempts import remote_ledger

    model = str(Path(job.model).expanduser().absolute()) if Path(job.model).expanduser().is_file() else job.model
    check_folder(str(job.root), "--root")
    check_model(model, signature)
    places = range(len(questions))
    batches = [pa.table({"row": list(places[at : at + BATCH])}) for at in places[::BATCH]]
    where = placement(job.device, job.workers, len(batches))
    scores = ray.data.from_blocks(batches).map_batches(
        ScoreMixtures,
        batch_size=None,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=where.separators, max_tasks_in_flight_per_actor=1),
        num_cpus=where.separator_cpus,
        num_gpus=where.separator_gpus,
        fn_constructor_kwargs={
            "model": model,
            "questions": questions,
            "bss": job.bss,
            "device": where.device,
            "precision": job.precision,
            "threads": where.threads,
            "attempts": remote_ledger(),
        },
    )
    try:
        for batch in scores.iter_batches(batch_size=None, prefetch_batches=0, batch_format="pyarrow"):
            yield from_table(batch)
    except RayError as error:
        said = str(error).strip().splitlines()[-1]
        raise ClusterError(f"the workers of the evaluation gave up ({type(error).__name__}: {said})") from error
