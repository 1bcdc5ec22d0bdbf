"""The plan of a run: what is listed, less what is committed. And what became of the sources that the dataset knows.

Contract: the plan is written before the first unit begins, and right after it what the listing found changed or gone
(`operators/whereabouts.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from operators.dataset import committed_members, read_ledger
from operators.plan import RetryPolicy, plan_units, write_plan
from operators.roll_call import RollCall
from operators.source import Source
from operators.whereabouts import whereabouts, write_listing
from operators.whole_file import place
from workflows.progress import Tally

if TYPE_CHECKING:
    from workflows.extract import ExtractJob


def plan_run(job: ExtractJob, listed: Iterator[Source], decode_rate: int | None, run_id: str, tally: Tally) -> pa.Table:
    """The units of work, as rows of `operators.schema.PLAN_SCHEMA`; the tally tells how many, and what is done
    already."""
    ledger = read_ledger(job.out)
    committed = committed_members(job.out, ledger)
    roll_call = RollCall(whereabouts(job.out, ledger, planned=True), run_id)
    del ledger  # a kilobyte or two a source, and planning takes its time
    planned = plan_units(
        roll_call.over(listed),
        committed,
        unit_seconds=job.unit_seconds,
        sample_rate=decode_rate,
        look_seconds=job.settings.look_seconds,
        retry=RetryPolicy(failed=job.retry_failed),
    )
    plan = _read_plan(write_plan(planned, job.out, run_id))
    news = roll_call.news(job.sources)
    write_listing(job.out, run_id, news)
    seconds = plan["seconds"].to_pylist()
    tally.already_done = len(committed)
    tally.units_planned = len(seconds)
    tally.seconds_planned = sum(s for s in seconds if s is not None)
    tally.units_unprobed = sum(s is None for s in seconds)
    tally.deleted = sum(word.deleted_at is not None for word in news.values())
    return plan


def _read_plan(uri: str) -> pa.Table:
    where = place(uri)
    with where.fs.open(where.path, "rb") as file:
        return pq.ParquetFile(file).read()
