"""Planning: sources become units of work, less what is committed already.

Large sources are probed here and cut into spans; small ones are grouped unprobed. A source that cannot be read is a
unit of its own that commits its failure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from operators.buckets import UNIT_PCM_BYTES, Buckets
from operators.failure import LONG_SOURCE, SourceFailure, is_transient
from operators.media.access import for_probing
from operators.media.errors import from_error, no_such_track
from operators.media.probe import Track, probe
from operators.member import Member, next_border, unit_row
from operators.schema import PLAN_SCHEMA
from operators.source import Source
from operators.standing import MemberOutcome
from operators.whole_file import WholeFile

# Below this most files are shorter than a unit (8 MiB: 9 minutes of MP3 at 128 kbit/s, 48 s of CD), and a probe (0.1 s)
# would cost the planner more than the cut brings. Without it a million clips would be a day of probing on one machine.
SMALL_SOURCE_BYTES: Final = 8 << 20
SHORTEST_UNIT_SECONDS: Final = 15.0
"""Units are not halved below this: from here on it is what they look at beyond their borders that takes the memory."""
PROBE_THREADS: Final = 8
MAX_ATTEMPTS: Final = 3
_ROWS_PER_GROUP: Final = 256

Found = tuple[Track, ...] | SourceFailure


@dataclass(frozen=True)
class RetryPolicy:
    """Which committed failures are due again: transient ones up to `max_attempts` times, with `failed` all of them."""

    failed: bool = False
    max_attempts: int = MAX_ATTEMPTS

    def attempt(self, member: Member, committed: Mapping[str, MemberOutcome]) -> int | None:
        """The number of the attempt that is due for `member`, None when nothing is to be done."""
        before = committed.get(member.member_id)
        if before is None:
            return 1
        again = is_transient(before.error_class) and before.attempt < self.max_attempts
        if again or (self.failed and before.status in ("partial", "unreadable", "failed")):
            return before.attempt + 1
        return None


def plan_units(
    sources: Iterable[Source],
    committed: Mapping[str, MemberOutcome],
    *,
    unit_seconds: float = 600.0,
    sample_rate: int | None = 32_000,
    look_seconds: float = 0.0,
    retry: RetryPolicy | None = None,
    probe_threads: int = PROBE_THREADS,
) -> Iterator[dict[str, Any]]:
    """Rows of `PLAN_SCHEMA`, streaming: span units in the order of the sources, bucket units as they fill up.

    `committed` is what earlier runs did, by member id (`operators.dataset.committed_members`). `unit_seconds` is halved
    for tracks of many channels until a unit at `sample_rate` (None: the track's own) fits into
    `UNIT_PCM_BYTES`, together with the `look_seconds` that it looks beyond its borders.
    """
    retry = retry or RetryPolicy()
    planned: set[bytes] = set()
    buckets = Buckets()
    due = (source for source in sources if retry.attempt(Member.whole(source), committed) is not None)
    for source, found in _probed(due, committed, probe_threads):
        if found is None:
            whole = Member.whole(source)
            if _is_new(whole, planned):
                yield from buckets.add(whole, retry.attempt(whole, committed) or 1)
            continue
        for member, seconds in _members(source, found, unit_seconds, sample_rate, look_seconds):
            attempt = retry.attempt(member, committed)
            if attempt is not None and _is_new(member, planned):
                yield unit_row([member], seconds=seconds, attempt=attempt)
    yield from buckets.rest()


def write_plan(rows: Iterable[Mapping[str, Any]], out_uri: str, run_id: str) -> str:
    """Write the plan of a run to OUT/plan/<run_id>.parquet and return its URI; the file appears only when whole."""
    pending = iter(rows)
    with WholeFile(f"{out_uri.rstrip('/')}/plan/{run_id}.parquet") as whole:
        with pq.ParquetWriter(whole.file, PLAN_SCHEMA) as writer:
            while group := list(islice(pending, _ROWS_PER_GROUP)):
                writer.write_table(pa.Table.from_pylist(group, schema=PLAN_SCHEMA))
        whole.publish()
    return whole.place.uri


def _is_new(member: Member, planned: set[bytes]) -> bool:
    """True the first time; a track that is asked for twice is done once."""
    key = bytes.fromhex(member.member_id)  # half as large as the text
    is_new = key not in planned
    planned.add(key)
    return is_new


def _members(
    source: Source, found: Found, unit_seconds: float, sample_rate: int | None, look_seconds: float
) -> Iterator[tuple[Member, float | None]]:
    """The members of a large source with their lengths in seconds."""
    if isinstance(found, SourceFailure):
        yield Member.whole(source, found), None
        return
    if source.track is not None and source.track >= len(found):
        yield Member.whole(source, no_such_track(source.uri, source.track, len(found), "probe")), None
        return
    for track in found:
        if source.track in (None, track.index):
            yield from _spans(source, track, unit_seconds, sample_rate or track.sample_rate, look_seconds)


def _spans(
    source: Source, track: Track, unit_seconds: float, sample_rate: int, look_seconds: float
) -> Iterator[tuple[Member, float | None]]:
    """A track, or the clip of it that is asked for, cut at multiples of the unit length.

    The last span goes to the end of the clip, or is open: a header may tell less than there is, and nothing is lost.
    """
    bytes_per_second = track.channels * sample_rate * 4
    while (
        unit_seconds > SHORTEST_UNIT_SECONDS and bytes_per_second * (unit_seconds + 2 * look_seconds) > UNIT_PCM_BYTES
    ):
        unit_seconds /= 2
    start, clip_end, end = source.clip_start_seconds, source.clip_end_seconds, track.end_seconds
    if end is not None and clip_end is not None:
        end = min(end, clip_end)
    border = next_border(start, unit_seconds)
    while end is not None and border < end:
        yield Member(source, track.index, start, border), border - start
        start, border = border, next_border(border, unit_seconds)
    yield Member(source, track.index, start, clip_end), None if end is None else max(0.0, end - start)


def _probed(
    sources: Iterable[Source], committed: Mapping[str, MemberOutcome], threads: int
) -> Iterator[tuple[Source, Found | None]]:
    """Every source with its tracks or its failure, None for small ones not known to be long; in order, a few probes
    ahead."""
    ahead: deque[tuple[Source, Future[Found] | None]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="probe") as pool:
        for source in sources:
            ahead.append((source, pool.submit(_look_into, source) if _needs_a_look(source, committed) else None))
            while len(ahead) > 4 * threads or (ahead and ahead[0][1] is None):
                yield _result(*ahead.popleft())
        while ahead:
            yield _result(*ahead.popleft())


def _result(source: Source, future: Future[Found] | None) -> tuple[Source, Found | None]:
    return source, None if future is None else future.result()


def _needs_a_look(source: Source, committed: Mapping[str, MemberOutcome]) -> bool:
    if source.problem is not None or (source.size_bytes or 0) >= SMALL_SOURCE_BYTES:
        return True
    before = committed.get(Member.whole(source).member_id)
    return before is not None and before.error_class == LONG_SOURCE


def _look_into(source: Source) -> Found:
    if source.problem is not None:
        return source.problem
    try:
        with for_probing(source.uri, source.version, source.size_bytes or 0) as address:
            return probe(address, source.uri, measure=True)
    except SourceFailure as failure:
        return failure
    except Exception as error:
        return from_error(error, source.uri, "probe")
