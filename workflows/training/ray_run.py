"""A training on Ray, from mixtures to the last state: workers are started, and what they tell is drawn meanwhile."""

from __future__ import annotations

import contextlib
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from pyarrow.fs import FSSpecHandler, PyFileSystem

from model.training.clips import ClipLibrary
from model.training.mixtures import MixtureDraw
from model.training.training_state import State, read_state
from operators.whole_file import Place, place
from workflows.cluster import ray_cluster
from workflows.training.curves import write_curves
from workflows.training.exported import read_done
from workflows.training.job import TrainingFailedError, TrainingRunError, TrainJob, write_run
from workflows.training.ownership import Ownership
from workflows.training.placement import training_placement
from workflows.training.scoreboard import remote_scoreboard
from workflows.training.training_progress import TrainingProgress
from workflows.training.worker import STATE_FILE, WorkerOrders, train_worker

KEPT_STATES: Final = 2
"""Of a run, the last ones."""
CURVES_EVERY_SECONDS: Final = 30.0
LOOKS_EVERY_SECONDS: Final = 0.5
LOST_WORKERS: Final = 3
"""So often a run goes on from its last state when a worker or its node is lost. Our choice."""


def train_on_ray(
    job: TrainJob,
    own: Callable[[], Ownership],
    draws: tuple[MixtureDraw, ...],
    validation: ClipLibrary,
    progress: TrainingProgress,
) -> State:
    """The state at the end of the run, which owns OUT from where it has its place on the cluster. A run that fails
    before its first state leaves OUT to another."""
    with ray_cluster(job.address):
        import ray
        from ray import train as ray_train
        from ray.train.torch import TorchTrainer

        where = training_placement(job.device, job.workers, job.mixers)
        scoreboard, out = remote_scoreboard(), place(job.out)
        orders = WorkerOrders(
            recipe=job.recipe,
            draws=ray.put(draws),
            validation=ray.put(validation),
            scoreboard=scoreboard,
            mixers=where.mixers,
            threads=where.threads,
            ownership=(ownership := own()),
        )
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
        try:
            with _drawn(scoreboard, progress, job.out):
                result = _fitted(trainer)
        except BaseException:
            with contextlib.suppress(Exception):  # the first error is the one to tell
                if ownership.holds() and not states_of(out) and read_done(job.out) is None:
                    write_run(job, {})
                ownership.release()
            raise
        with result.checkpoint.as_directory() as directory:
            state = read_state(Path(directory) / STATE_FILE)
        ownership.expect()
        kept = {_name(checkpoint.path) for checkpoint, _ in [*result.best_checkpoints, (result.checkpoint, None)]}
        for unfinished in [each for each in states_of(out) if _name(each.path) not in kept]:  # by a killed run
            unfinished.fs.rm(unfinished.path, recursive=True)
    return state


def states_of(out: Place) -> list[Place]:
    """Where states lie in OUT, whole ones and others."""
    out.fs.invalidate_cache(out.path)
    names = map(_name, out.fs.ls(out.path, detail=False))
    return [out / name for name in sorted(names) if re.match(r"checkpoint_\d", name)]


def _name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _fitted(trainer: Any) -> Any:
    """What came of the run. Raises TrainingFailedError with what the first worker said."""
    from ray.exceptions import RayError
    from ray.train.v2.api.exceptions import TrainingFailedError as RayTrainingFailedError

    try:
        with _interruptible():
            return trainer.fit()
    except RayError as error:
        raise TrainingFailedError(
            f"Ray Train ended ({str(error).strip().splitlines()[-1]}); give the same command again. If it ends so once "
            f"more, its notes beside the states are damaged: give another --out"
        ) from error
    except RayTrainingFailedError as error:
        failures = getattr(error, "worker_failures", None) or {0: getattr(error, "controller_failure", error)}
        first = next(iter(failures.values()))
        cause = getattr(first, "cause", None) or first
        if isinstance(cause, TrainingRunError):
            raise cause from error
        raise TrainingFailedError(
            f"the training failed {LOST_WORKERS + 1} times ({type(cause).__name__}: {cause}); when that is mended, the "
            "same command goes on from the last state"
        ) from error


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """An interruption is one: Ray Train takes SIGINT for itself, keeps it, and ends the process as if all were well."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _drawn(scoreboard: Any, progress: TrainingProgress, out: str) -> Iterator[None]:
    """Draws the rows of the scoreboard meanwhile, and writes the curve every now and then."""
    import ray
    from ray.exceptions import RayError

    over, told, written = threading.Event(), 0, time.monotonic()

    def draw() -> None:
        nonlocal told, written
        rows = ray.get(scoreboard.rows.remote())
        for row in rows[told:]:
            progress.advance(row)
        if len(rows) > told and time.monotonic() - written > CURVES_EVERY_SECONDS:
            write_curves(rows, out)
            written = time.monotonic()
        told = len(rows)

    def keep_drawing() -> None:
        while not over.wait(LOOKS_EVERY_SECONDS):
            with contextlib.suppress(RayError, OSError):  # telling must not end the run
                draw()

    thread = threading.Thread(target=keep_drawing, daemon=True)
    thread.start()
    try:
        yield
        over.set()
        thread.join()
        with contextlib.suppress(RayError):
            draw()
    finally:
        over.set()
