"""How a command ends: errors that a person can act on become one sentence and an exit code.

Exit codes: 0 all done (bad sources included, and counted), 1 the job failed, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import Any, Final, NoReturn

import typer

from workflows.interrupt import terminated_like_interrupted

GOES_ON: Final = "run the same command again to go on where it stopped"
NOTHING_DONE: Final = "nothing was changed"
STORES: Final = frozenset(
    {"adlfs", "aiobotocore", "aiohttp", "azure", "botocore", "fsspec", "gcsfs", "google", "requests", "s3fs", "urllib3"}
)
"""Packages that talk to stores. Their errors are no OSError where credentials are missing, or an address is wrong."""


def run(work: Any, *, interrupted: str = NOTHING_DONE) -> Any:
    """The result of `work`; errors that a person can act on become one message and an exit code.

    `interrupted` says what an interruption leaves behind; SIGTERM is one as well.
    """
    try:
        with terminated_like_interrupted():
            return work()
    except KeyboardInterrupt:
        fail(f"interrupted; {interrupted}", code=130)
    except Exception as error:
        _end_for_a_job(error)
        _end_for_the_work(error)
        raise


def _end_for_a_job(error: Exception) -> None:
    """End, if the job is what is wrong: said at once, without torch."""
    from operators.catalog import CatalogError
    from workflows.jobs.job_file import JobFileError
    from workflows.jobs.job_service import JobError

    if isinstance(error, (CatalogError, JobFileError)):
        wrong_use(str(error))
    if isinstance(error, JobError):
        fail(str(error))


def _end_for_the_work(error: Exception) -> None:
    """End, if the work met what a person can act on."""
    from model.caption_cache import CaptionCacheError
    from model.captions.caption_file import CaptionFileError
    from model.separator import PrecisionError
    from model.training.manipulation_list import ManipulationError
    from model.training.mixtures import FewLabelsError
    from model.training.recipe_file import RecipeError
    from model.weights_file import CheckpointError
    from operators.dataset import SignatureError
    from operators.export.selection import ExportError
    from operators.failure import SourceFailure
    from operators.manifest_rows import ManifestError
    from operators.search import NothingToSearchError, SearchError
    from operators.sources import SourcesNotFoundError
    from workflows.captions import AlreadyThereError
    from workflows.cluster import ClusterError
    from workflows.device import DeviceError
    from workflows.evaluation.mixtures import ListError
    from workflows.label_file import LabelFileError
    from workflows.training.clip_list import TrainingDataError
    from workflows.training.job import TrainingFailedError, TrainingRunError

    if isinstance(
        error,
        (
            AlreadyThereError,
            CaptionCacheError,
            CaptionFileError,
            ExportError,
            FewLabelsError,
            LabelFileError,
            ListError,
            ManifestError,
            ManipulationError,
            PrecisionError,
            RecipeError,
            SearchError,
            SignatureError,
            SourcesNotFoundError,
            TrainingDataError,
            TrainingRunError,
        ),
    ):
        wrong_use(str(error))
    if isinstance(
        error,
        (CheckpointError, ClusterError, DeviceError, NothingToSearchError, SourceFailure, TrainingFailedError, OSError),
    ):
        fail(str(error))
    if type(error).__module__.partition(".")[0] in STORES:
        fail(
            f"the store does not answer as it should ({type(error).__name__}: {error}); check the address, the "
            "credentials and the network, then give the same command again"
        )


def fail(message: str, *, code: int = 1) -> NoReturn:
    """End with a sentence on standard error."""
    print(f"soundquarry: {message}", file=sys.stderr)
    raise typer.Exit(code)


def wrong_use(message: str) -> NoReturn:
    """End because of what was asked for."""
    fail(message, code=2)
