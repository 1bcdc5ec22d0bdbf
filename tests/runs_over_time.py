"""A dataset that run after run goes on with. Nothing is separated: the planned members are committed as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from fabricated_dataset import Member, commit_unit, sign

from operators.derived import rebuild_derived
from operators.settings import ExtractSettings
from operators.sources import list_sources
from operators.verification import verify_dataset
from workflows.extract import ExtractJob
from workflows.planning import plan_run
from workflows.progress import Tally


class Dataset:
    """A dataset that run after run goes on with; each run returns the sources that it did."""

    def __init__(self, out: Path, root: str, settings: ExtractSettings) -> None:
        self.out, self.root, self.settings, self.runs = str(out), root, settings, 0
        sign(self.out, kind=settings.kind)

    def plan(self, *patterns: str | Path) -> tuple[list[dict[str, Any]], Tally]:
        self.runs += 1
        job = ExtractJob(tuple(map(str, patterns)), "", self.out, self.settings)
        tally = Tally()
        plan = plan_run(job, list_sources(job.sources), 32_000, f"run-{self.runs}", tally)
        return plan.to_pylist(), tally

    def run(self, *patterns: str | Path) -> list[str]:
        units, _ = self.plan(*patterns)
        for unit in units:
            commit_unit(
                self.out, unit["unit_id"], [committed_as(m) for m in unit["members"]], run_id=f"run-{self.runs}"
            )
        rebuild_derived(self.out)
        assert verify_dataset(self.out).findings == []
        return sorted(self.short(m["source_uri"]) for unit in units for m in unit["members"])

    @property
    def sources(self) -> list[tuple[str, str]]:
        """(URI, what became of it) of every row: there, gone, replaced, or replaced and gone."""
        rows = pq.read_table(Path(self.out, "sources.parquet")).to_pylist()
        words = {(False, False): "there", (True, False): "gone", (False, True): "replaced", (True, True): "both"}
        return sorted(
            (self.short(row["source_uri"]), words[row["deleted_at"] is not None, row["newer_version"] is not None])
            for row in rows
        )

    def short(self, uri: str) -> str:
        return uri.replace(f"{self.root}/", "")


def committed_as(member: dict[str, Any]) -> Member:
    problem = {"status": member["status"], "error_class": member["error_class"]} if member["status"] else {}
    known = {"version": member["source_version"], "member_id": member["member_id"], "present": ()}
    return Member(member["source_uri"], **known, **problem)


def write(path: Path, data: bytes = b"sound") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
