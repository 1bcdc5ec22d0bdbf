"""Commands for jobs: `run` does one here, `submit` sends one to a cluster, and the group `jobs` looks after those."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from workflows.commands.endings import run, wrong_use
from workflows.commands.job_target import Context, JobTarget, Kubernetes, Namespace, RayUrl, Release
from workflows.commands.options import Json

if TYPE_CHECKING:
    from workflows.jobs.job_service import IfRunning, JobService

jobs = typer.Typer(no_args_is_help=True, help="Look after jobs on a cluster: list, status, logs, cancel.")
PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True}
"""Options that a command does not know belong to the workflow."""


def _name(given: str) -> str:
    """A job's name. Ends the command where no job can be called so."""
    from workflows.jobs.job_name import wrong_name

    if said := wrong_name(given):
        wrong_use(said)
    return given


JobName = Annotated[str, typer.Argument(metavar="NAME", parser=_name, help="a job's name, see `soundquarry jobs list`")]


def run_file(
    context: typer.Context,
    job: Annotated[Path, typer.Argument(metavar="JOB.yaml", help="a workflow and its options, see the README")],
) -> None:
    """Run a job file here. Options given after it win over it: soundquarry run JOB.yaml --threshold 0.4"""
    from workflows.jobs.job_file import context_of, read_job

    _check_order(str(job), "soundquarry run JOB.yaml --threshold 0.4")
    asked = run(lambda: read_job(job, context.args))
    with context_of(asked, context.args) as command:
        command.command.invoke(command)


def submit(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="WORKFLOW|JOB.yaml", help="extract, mine, evaluate or train, with its options, or a job file"
        ),
    ],
    address: RayUrl = None,
    kubernetes: Kubernetes = False,
    namespace: Namespace = None,
    release: Release = None,
    kube_context: Context = None,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="show its log until it ends, and end with its exit code")
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", parser=_name, help="name of the job: a-z, 0-9 and -; default: made of its work"),
    ] = None,
    if_running: Annotated[
        str,
        typer.Option(help="if the same work is under way: join, skip (leave, exit code 0) or fail"),
    ] = "join",
    python: Annotated[
        str | None,
        typer.Option(help="the Python of a Ray head that has our dependencies; default: `python` in its PATH"),
    ] = None,
) -> None:
    """Send a workflow to a cluster as a job. The same work is not begun twice: what already runs is joined."""
    from workflows.jobs.job_fields import NO_PART, WORKFLOWS
    from workflows.jobs.job_file import job_of, read_job
    from workflows.jobs.job_parcel import parcel
    from workflows.jobs.job_service import IF_RUNNING

    target = JobTarget(address, kubernetes, namespace, release, kube_context)
    if kubernetes and python is not None:
        wrong_use("--python is of a Ray head; on Kubernetes the image says it")
    if if_running not in IF_RUNNING:
        wrong_use(f"--if-running is {if_running!r}; choose join, skip or fail")
    given = context.args
    _check_order(what, "soundquarry submit extract SOURCES ... --threshold 0.4")
    if "--show" in given:
        wrong_use(f"--show is no part of a job: {NO_PART['show']}")
    job = run(lambda: job_of(what, given) if what in WORKFLOWS else read_job(Path(what), given))
    run(lambda: parcel(job))  # what is wrong with the job is said before a cluster is asked
    service = target.service(python)
    for warning in run(lambda: parcel(job, service.mounted())).warnings:
        _say(f"warning: {warning}")
    sent = run(lambda: service.submit(job, name, cast("IfRunning", if_running)))
    if sent.skipped:
        why = "the schedule's run before this one goes on" if sent.other_work else "the same work already runs"
        _say(f"skipped: {why} as {sent.name}")
        return
    if sent.ended:
        _say(f"{sent.name} has ended already and is not begun again; this is how it went")
    else:
        _say(f"the same work already runs as {sent.name}; joined it" if sent.joined else f"submitted {sent.name}")
    if follow:
        raise typer.Exit(_follow(service, sent.name, target))
    _say(f"follow it: {target.command('logs', sent.name, '--follow')}")
    print(sent.name)


@jobs.command("list")
def list_jobs(
    address: RayUrl = None,
    kubernetes: Kubernetes = False,
    namespace: Namespace = None,
    release: Release = None,
    kube_context: Context = None,
    as_json: Json = False,
) -> None:
    """The jobs that were submitted, the newest first; then the schedules that begin some."""
    from workflows.jobs.job_list import print_jobs, print_schedules

    service = JobTarget(address, kubernetes, namespace, release, kube_context).service()
    print_jobs(run(lambda: service.list()), as_json=as_json)
    print_schedules(run(lambda: service.schedules()), as_json=as_json)


@jobs.command()
def status(
    name: JobName,
    address: RayUrl = None,
    kubernetes: Kubernetes = False,
    namespace: Namespace = None,
    release: Release = None,
    kube_context: Context = None,
    as_json: Json = False,
) -> None:
    """How far a job is, and why it waits or failed."""
    from workflows.jobs.job_list import print_job

    service = JobTarget(address, kubernetes, namespace, release, kube_context).service()
    print_job(run(lambda: service.status(name)), as_json=as_json)


@jobs.command()
def logs(
    name: JobName,
    follow: Annotated[bool, typer.Option("--follow", help="until it ends, and end with its exit code")] = False,
    address: RayUrl = None,
    kubernetes: Kubernetes = False,
    namespace: Namespace = None,
    release: Release = None,
    kube_context: Context = None,
) -> None:
    """What a job printed."""
    target = JobTarget(address, kubernetes, namespace, release, kube_context)
    service = target.service()
    if follow:
        raise typer.Exit(_follow(service, name, target))
    run(lambda: _print_log(service, name, follow=False))


@jobs.command()
def cancel(
    name: JobName,
    address: RayUrl = None,
    kubernetes: Kubernetes = False,
    namespace: Namespace = None,
    release: Release = None,
    kube_context: Context = None,
) -> None:
    """Stop a job. What it committed stays; the same work can be submitted again, and goes on."""
    service = JobTarget(address, kubernetes, namespace, release, kube_context).service()
    before = run(lambda: service.status(name))
    run(lambda: service.cancel(name))
    _say(f"{name} is cancelled" if before.is_live else f"{name} had ended already: {before.state}")


def _check_order(what: str, example: str) -> None:
    """Ends the command where an option of a workflow stands before it: what it means is known only behind it."""
    if what.startswith("-"):
        wrong_use(f"{what} is an option of a workflow, and comes after it: {example}")


def _follow(service: JobService, name: str, target: JobTarget) -> int:
    """The exit code of a job, after its log."""
    again = target.command("logs", name, "--follow")
    stop = target.command("cancel", name)
    code: int = run(
        lambda: _print_log(service, name, follow=True),
        interrupted=f"{name} goes on; follow it again with `{again}`, stop it with `{stop}`",
    )
    state = run(lambda: service.status(name))
    _say(f"{name} {state.state}" + (f": {state.message}" if state.message else ""))
    return code


def _print_log(service: JobService, name: str, *, follow: bool) -> int:
    """Print the log; the exit code of the job, where it was followed to its end."""
    for piece in service.logs(name, follow):
        sys.stdout.write(piece)
        sys.stdout.flush()
    return service.wait(name) if follow else 0


def _say(sentence: str) -> None:
    """Tell a person; standard output is for what a job prints, and for its name."""
    print(f"soundquarry: {sentence}", file=sys.stderr, flush=True)
