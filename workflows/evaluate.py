"""Evaluate: separation quality on a list of mixtures, ours or a published one.

Read the list and check every row of it, choose what each mixture is asked, separate and score them on Ray, and put the
rows back into the order of the list. What is told of them is in `workflows/evaluation/report.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pyarrow as pa

from model.registry import load_model
from model.separator import MaskNetwork
from model.window_grid import WindowGrid
from operators.stem_engine import Precision
from workflows.cluster import ClusterError, check_cluster, check_folder, check_model, placement, ray_cluster
from workflows.device import device_here
from workflows.evaluation.lists import check_labels, read_list
from workflows.evaluation.mixtures import ListError, MixingRule, MixtureList
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
    unseen: frozenset[str] | None = None
    """Labels whose rows are told apart."""
    device: str = "auto"
    precision: Precision = "auto"
    workers: int | None = None
    address: str | None = None


@dataclass(frozen=True)
class Windows:
    """How mixtures were separated: in windows of `seconds` every `hop_seconds`, cross-faded. `of_a_clip`: their number,
    where all mixtures of the list have one length; authors of lists separate a clip as a whole."""

    seconds: float
    hop_seconds: float
    of_a_clip: int | None = None


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
    sample_rate: int
    """Of the sounds that were scored, in Hz."""
    windows: Windows
    unseen: frozenset[str] | None = None
    """Labels whose rows are told apart."""


def evaluate(job: EvaluateJob, told: Told = lambda done, of: None) -> Evaluation:
    """Run the job. Raises ListError, DeviceError, PrecisionError and ClusterError for what is wrong with it as a whole,
    before anything is separated; a row that fails is a row with an error."""
    named, job = job.model, _in_full(job)
    listed = read_list(job.list_csv, job.root)
    if job.limit is not None and job.limit < 1:
        raise ListError(f"--limit is {job.limit}; give at least 1")
    if job.unseen is not None:
        check_labels(job.unseen, listed)
    questions = questions_of(listed, job.root, job.asking, job.limit)
    check_cluster(job.address)
    if not (job.address or os.environ.get("RAY_ADDRESS")):
        device_here(job.device)
    model = load_model(job.model)
    model.separator.precision(job.precision, "cpu")  # raises for what no device can
    signature, network = model.signature, model.separator
    if job.asking.negative and not network.reads_negatives:
        raise ListError(f"--negative: {named} reads nothing of what is not wanted; leave it out")
    rule, windows = listed.mixtures[0].rule, _windows(network, listed.mixtures[0].rule)
    rate = rule.sample_rate or network.sample_rate
    with ray_cluster(job.address):
        where = placement(job.device, job.workers, -(-len(questions) // BATCH))
        chosen = str(network.precision(job.precision, where.device)).removeprefix("torch.")
        del model, network  # a gigabyte or more, which the workers want
        rows = []
        for scored in _scored(job, questions, signature):
            rows += scored
            told(len(rows), len(questions))
    rows.sort(key=lambda row: row.row)
    return Evaluation(rows, listed, job.asking, named, signature, where.device, chosen, rate, windows, job.unseen)


def _windows(network: MaskNetwork, rule: MixingRule) -> Windows:
    grid, own = WindowGrid.of(network.window_samples, network.lead_share), network.sample_rate
    samples = None if rule.samples is None else rule.samples * own // (rule.sample_rate or own)
    return Windows(grid.length / own, grid.hop / own, samples and len(grid.covering(0, samples)))


def _in_full(job: EvaluateJob) -> EvaluateJob:
    """The job with absolute paths, since workers are in folders of their own."""
    model, exemplars = Path(job.model).expanduser(), job.asking.exemplars
    return replace(
        job,
        root=job.root.expanduser().absolute(),
        model=str(model.absolute()) if model.is_file() else job.model,
        asking=replace(job.asking, exemplars=exemplars and exemplars.expanduser().absolute()),
    )


def _scored(job: EvaluateJob, questions: list[Question], signature: str) -> Iterator[list[RowScores]]:
    """Rows of every batch, in the order in which they are done."""
    import ray
    from ray.data import ActorPoolStrategy
    from ray.exceptions import RayError

    from operators.attempts import remote_ledger

    check_folder(str(job.root), "--root")
    if job.asking.exemplars is not None and job.asking.exemplars.is_dir():
        check_folder(str(job.asking.exemplars), "--exemplars")
    check_model(job.model, signature)
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
            "model": job.model,
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
