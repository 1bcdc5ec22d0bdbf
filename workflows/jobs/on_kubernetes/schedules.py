"""What begins runs by the clock: the chart's CronJobs, or KubeRay's own RayCronJobs, and what runs of them now.

A cluster that does not know one of the kinds has none of it. A kind that one may not list is told of, and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from workflows.jobs.job_service import JobError, Schedule
from workflows.jobs.on_kubernetes.api import KubernetesApi, Object, status_of_refusal
from workflows.jobs.on_kubernetes.rayjob_state import (
    RELEASE,
    instant,
    is_ours,
    is_over,
    progress_of,
    state_of,
    status_of,
)

FORBIDDEN: Final = 403
CHART: Final = "app.kubernetes.io/name=soundquarry"
KINDS: Final = {
    "CronJob": ("cronjobs", (("batch", "v1"), ("batch", "v1beta1"))),
    "RayCronJob": ("raycronjobs", (("ray.io", "v1"),)),
}
"""Plural, and versions, the newest first: Kubernetes below 1.21 has CronJobs as v1beta1."""


def schedules(api: KubernetesApi, release: str | None, say: Callable[[str], None]) -> tuple[Schedule, ...]:
    """Those of a release, or of all in the namespace, by name. `say` is told which kind one may not list."""
    selector = CHART if release is None else f"{CHART},{RELEASE}={release}"
    found = [(kind, one) for kind in KINDS for one in _listed(api, kind, selector, say)]
    runs = [job for job in api.rayjobs() if is_ours(job)] if found else []
    return tuple(sorted((_schedule(kind, one, runs) for kind, one in found), key=lambda schedule: schedule.name))


def _listed(api: KubernetesApi, kind: str, selector: str, say: Callable[[str], None]) -> list[Object]:
    plural, versions = KINDS[kind]
    try:
        for group, version in versions:
            items = api.items_where_known(group, version, plural, selector)
            if items is not None:
                return items
    except JobError as error:
        if status_of_refusal(error) != FORBIDDEN:
            raise
        say(f"schedules of kind {kind} are not shown: {error}")
    return []


def _schedule(kind: str, one: Object, runs: Iterable[Object]) -> Schedule:
    """A CronJob or RayCronJob as every place tells it. KubeRay keeps no list of runs, nor when one succeeded."""
    name, spec, status = one["metadata"]["name"], one["spec"], status_of(one)
    if kind == "RayCronJob":
        own = [run for run in runs if ("RayCronJob", name) in _owners(run)]
        ends = [state_of(run).ended for run in own if progress_of(run) == "succeeded"]
        succeeded = max((end for end in ends if end is not None), default=None)
        active = [run["metadata"]["name"] for run in own if not is_over(run)]
    else:
        succeeded = instant(status.get("lastSuccessfulTime"))
        active = list(_active(status.get("active") or [], runs))
    return Schedule(
        name=name,
        kind=kind,
        cron=spec["schedule"],
        time_zone=spec.get("timeZone"),
        suspended=bool(spec.get("suspend")),
        last_scheduled=instant(status.get("lastScheduleTime")),
        last_succeeded=succeeded,
        active=tuple(active),
    )


def _active(jobs: Iterable[Object], runs: Iterable[Object]) -> Iterator[str]:
    """The run of each Job that a CronJob has begun; the Job itself while it has none."""
    run_of = {owner: run["metadata"]["name"] for run in runs if not is_over(run) for owner in _owners(run)}
    for job in jobs:
        yield run_of.get(("Job", job["name"]), job["name"])


def _owners(run: Object) -> set[tuple[str, str]]:
    return {(owner["kind"], owner["name"]) for owner in run["metadata"].get("ownerReferences") or []}
