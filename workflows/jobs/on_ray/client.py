"""Ray's job submission client as we use it: to the address that was given, never waiting for ever, errors in words.

`Unanswered` may pass (the head is being restarted); everything else is a JobError.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from workflows.jobs.job_service import JobError

CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 120.0
"""A head waits up to 30 s for its own agent before it takes a job."""
QUIET_SECONDS: Final = 15.0
"""After so long without a line of a log it is asked whether the job still runs: a lost connection says nothing."""
TALKERS: Final = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
"""Loggers that tell of every upload, and warn of files above 10 MiB. Their loggers, not handlers: those are shared."""
ADDRESSES: Final = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
"""Ray lets these win over the address that it is handed."""
TAKEN: Final = re.compile(r"submission_id \S+ already exists")
"""In the traceback that a head answers with (Ray 2.60), with a status of 500."""
T = TypeVar("T")


class Unanswered(JobError):
    """The head does not answer, or not as a head that is ready."""


class UnknownJobError(JobError):
    """The head knows no job of this name."""


class NameTakenError(JobError):
    """The head has had a job of this name already."""


def connect(address: str) -> Any:
    """A client of the head whose dashboard is at `address`, http://HOST:8265."""
    with _without(ADDRESSES), in_words(address):
        return _client_class()(address.rstrip("/"))


@contextlib.contextmanager
def in_words(address: str) -> Iterator[None]:
    """Turns what Ray's client raises into JobErrors."""
    import aiohttp
    import requests
    import urllib3
    from ray.exceptions import AuthenticationError

    try:
        yield
    except JobError:
        raise
    except AuthenticationError as error:
        raise JobError(
            f"the head at {address} wants a token ({str(error).partition(chr(10))[0]}): set RAY_AUTH_MODE=token, and "
            "RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the cluster's"
        ) from None
    except (requests.JSONDecodeError, KeyError) as error:
        raise JobError(f"what answers at {address} is no Ray head: check the address and the port") from error
    except (OSError, aiohttp.ClientError) as error:  # those of requests are OSErrors
        raise Unanswered(
            f"no Ray head answers at {address} ({_reason(error)}): check the address and the port (that of the "
            "dashboard, 8265), whether the head runs, and whether it runs with its dashboard (ray[default], "
            "--include-dashboard=true)"
        ) from error
    except (ValueError, TypeError, urllib3.exceptions.HTTPError) as error:
        raise JobError(f"{address} cannot be asked ({type(error).__name__}: {error}): check the address") from error
    except RuntimeError as error:
        if "Version check returned 404" in str(error):
            raise JobError(f"what answers at {address} is no Ray head, or one without ray[default]") from error
        if str(error).startswith("WebSocket"):  # of a tail, whose head went away
            raise Unanswered(f"the head at {address} hung up") from error
        raise JobError(f"the head at {address} refuses: {error}") from error


def tail(client: Any, name: str, address: str, ended: Callable[[], bool]) -> Iterator[str]:
    """The log of a job from its beginning, as it grows, to its end. Raises Unanswered where the connection is lost."""
    loop = asyncio.new_event_loop()
    pieces = client.tail_job_logs(name)
    try:
        following = loop.create_task(anext(pieces, None))
        while True:
            with in_words(address):
                done, _ = loop.run_until_complete(asyncio.wait({following}, timeout=QUIET_SECONDS))
                piece = following.result() if done else ""
            if piece is None:
                return
            if done:
                yield piece
                following = loop.create_task(anext(pieces, None))
            elif ended():
                return
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            loop.run_until_complete(following)
        loop.run_until_complete(pieces.aclose())
        loop.close()


def last_words(text: str) -> str:
    """The last line of a traceback that says anything: there may be lines of dots behind it.

    >>> last_words("Traceback ...\\n  File ...\\nValueError: no room.\\n.\\n")
    'ValueError: no room.'
    """
    said = [line.strip() for line in text.splitlines() if re.search(r"\w", line)]
    return said[-1] if said else "no reason was told"


def _client_class() -> Any:
    """JobSubmissionClient with time limits, and with errors by their kind. Ray takes a second to import."""
    from ray.job_submission import JobSubmissionClient

    for talker in TALKERS:
        logging.getLogger(talker).setLevel(logging.ERROR)

    class Client(JobSubmissionClient):
        def _do_request(self, *arguments: Any, **options: Any) -> Any:
            options.setdefault("timeout", (CONNECT_SECONDS, ANSWER_SECONDS))
            return super()._do_request(*arguments, **options)

        def _raise_error(self, response: Any) -> None:
            said = last_words(response.text)
            if response.status_code == 404:
                raise UnknownJobError(said)
            if TAKEN.search(response.text):
                raise NameTakenError(said)
            if response.status_code >= 500:
                raise Unanswered(f"the head at {self._address} is not ready ({response.status_code}: {said})")
            raise JobError(f"the head at {self._address} refuses ({response.status_code}): {said}")

    return Client


def _reason(error: BaseException) -> str:
    """The last part of what went wrong in a connection: what stands before it repeats the address."""
    cause = error.__context__ or error
    return str(cause).strip(")'\"").rpartition(": ")[2] or type(cause).__name__


@contextlib.contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    """The environment without some variables."""
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
