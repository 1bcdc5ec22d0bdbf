"""`soundquarry export`: a dataset of stems, or a library of events, becomes files that a DAW or a sound library reads.

Select the rows, plan what goes into which file, name the files, refuse what cannot be; only then write, and tell of it
all in an index.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from rich.console import Console

from operators.export.index import INDEX_FILE, index_csv, is_our_index, read_index
from operators.export.missing import Missing
from operators.export.names import DEFAULTS, UCS_TEMPLATE, Naming, name_files
from operators.export.plan import (
    Container,
    ExportFile,
    Shape,
    check_clipping,
    check_rates,
    plan_events,
    plan_stems,
)
from operators.export.read import RowReader
from operators.export.selection import ExportError, Selected, Selection, examples, kind_of, select
from operators.export.target import check_target
from operators.export.write import Named, passes, write_pass
from operators.media.ffmpeg_process import require_programs
from operators.whole_file import Place, place, sweep_temporary, write_whole
from workflows.export_progress import ExportProgress
from workflows.interrupt import interruptible_between_steps

STALE_SECONDS = 3600.0


@dataclass(frozen=True)
class ExportJob:
    """What a person asked for. `shape` None: what the dataset holds."""

    dataset: str
    to: str
    shape: Shape | None = None
    selection: Selection = field(default_factory=Selection)
    min_presence: float | None = None
    top: int | None = None
    no_duplicates: bool = False
    container: Container = "wav"
    gain_db: float = 0.0
    name: str | None = None
    ucs: bool = False
    creator_id: str | None = None
    source_id: str | None = None
    replace_unsafe: bool = False
    overwrite: bool = False

    def naming(self, shape: Shape) -> Naming:
        template = UCS_TEMPLATE if self.ucs else self.name or DEFAULTS[shape]
        return Naming(template, self.container, self.creator_id, self.source_id, self.replace_unsafe)


@dataclass(frozen=True)
class Summary:
    """What was written, or would be. `float_files` hold 32-bit float, as 24 bits would have clipped."""

    dataset: str
    to: str
    shape: Shape
    container: Container
    files: int
    seconds: float
    size_bytes: int | None
    float_files: int
    pairs_without_rows: int
    versions_left_out: int
    missing: tuple[Missing, ...]
    """What is not there of the sources, by track."""
    wall_seconds: float


@dataclass(frozen=True)
class Plan:
    """The export before its first byte: every file with its name, nothing left that could be refused."""

    shape: Shape
    names: list[str]
    files: list[ExportFile]
    selected: Selected
    float_files: int

    def summary(self, job: ExportJob, size_bytes: int | None = None, wall_seconds: float = 0.0) -> Summary:
        return Summary(
            dataset=job.dataset,
            to=job.to,
            shape=self.shape,
            container=job.container,
            files=len(self.files),
            seconds=sum(file.seconds for file in self.files),
            size_bytes=size_bytes,
            float_files=self.float_files,
            pairs_without_rows=self.selected.pairs_without_rows,
            versions_left_out=self.selected.versions_left_out,
            missing=tuple(self.selected.missing.values()),
            wall_seconds=wall_seconds,
        )


def plan_export(job: ExportJob) -> Plan:
    """What `export` would write. Raises ExportError for everything that can be wrong with it."""
    require_programs()
    shape: Shape = job.shape or ("events" if kind_of(job.dataset) == "mine" else "stems")
    if shape == "stems" and (job.top is not None or job.no_duplicates):
        raise ExportError("--top and --no-duplicates choose among events, and these are stems: give --shape events")
    selected = select(job.dataset, job.selection)
    if shape == "stems":
        files = plan_stems(selected, min_presence=job.min_presence)
    else:
        files = plan_events(
            job.dataset, selected, min_presence=job.min_presence, top=job.top, no_duplicates=job.no_duplicates
        )
    names = name_files(files, job.naming(shape))
    check_rates(zip(names, files, strict=True), job.container)
    float_files = check_clipping(zip(names, files, strict=True), job.container, job.gain_db)
    check_target(job.to, names, overwrite=job.overwrite)
    return Plan(shape, names, files, selected, float_files)


def export(job: ExportJob, progress: ExportProgress | None = None) -> Summary:
    """Write the files and, last, the index. What is there when it is killed is whole."""
    began = time.monotonic()
    plan = plan_export(job)
    sweep_temporary(job.to, STALE_SECONDS)
    target, reader, size_bytes = place(job.to), RowReader(job.dataset), 0
    files = [Named((target / name).uri, file) for name, file in zip(plan.names, plan.files, strict=True)]
    progress = progress or ExportProgress(Console(quiet=True))
    progress.start(len(files), sum(file.seconds for file in plan.files))
    with interruptible_between_steps() as check:

        def advance(seconds: float) -> None:
            check()
            progress.advance(seconds)

        for together in passes(files, plan.shape):
            size_bytes += write_pass(together, reader, job.container, job.gain_db, advance)
            progress.advance(0.0, files=len(together))
    _write_index(target / INDEX_FILE, plan)
    return plan.summary(job, size_bytes, time.monotonic() - began)


def _write_index(index: Place, plan: Plan) -> None:
    """The lines of this export; those of others stay, but for an index that is not ours, which --overwrite replaces."""
    there = read_index(index) if is_our_index(index) else []
    write_whole(index.uri, index_csv(zip(plan.names, plan.files, strict=True), there))


def print_plan(plan: Plan, job: ExportJob, *, as_json: bool = False) -> None:
    """What a dry run says: every name, then the sums."""
    if as_json:
        print(json.dumps({**asdict(plan.summary(job)), "names": plan.names}))
        return
    print("\n".join(plan.names))
    _tell(plan.summary(job), "would be written")


def print_summary(summary: Summary, *, as_json: bool = False) -> None:
    """What an export says in the end."""
    if as_json:
        print(json.dumps(asdict(summary)))
        return
    _tell(summary, f"written in {summary.wall_seconds:.0f} s")


def _tell(summary: Summary, done: str) -> None:
    size = "" if summary.size_bytes is None else f", {summary.size_bytes / 1e6:.1f} MB"
    lines: Sequence[str] = [
        f"{summary.files} {summary.shape} with {summary.seconds / 60:.1f} minutes of audio{size} {done}: {summary.to}",
        f"{summary.pairs_without_rows} (track, query) pairs have no stem and get no file"
        if summary.pairs_without_rows
        else "",
        f"{summary.versions_left_out} older versions of sources left out" if summary.versions_left_out else "",
        _of_missing(summary),
        f"{summary.float_files} files are 32-bit float: they exceed full scale, and 24 bits would clip"
        if summary.float_files
        else "",
    ]
    Console().print("\n".join(line for line in lines if line), markup=False, highlight=False, soft_wrap=True)


def _of_missing(summary: Summary) -> str:
    if not summary.missing:
        return ""
    seconds = sum(missing.seconds for missing in summary.missing)
    more = " and more" if any(missing.is_open for missing in summary.missing) else ""
    heard = "silence in a stem, or not in it" if summary.shape == "stems" else "no event of it is known"
    return (
        f"{seconds:.1f} s{more} of {len(summary.missing)} tracks are missing, failed or not committed ({heard}): "
        f"{examples(map(str, summary.missing))}. The same command that made {summary.dataset} tries them again "
        "(--retry-failed: all of them)"
    )
