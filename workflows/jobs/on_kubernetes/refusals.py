"""What an API server refuses, in plain words: who may not do what, what is missing, and whom to ask.

The same words stand in events, where controllers are refused what they make for a job: quota, pod security, webhooks.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from workflows.jobs.job_service import JobError

if TYPE_CHECKING:
    from kubernetes.client import ApiException

FORBIDDEN: Final = re.compile(
    r'User "(?P<user>[^"]+)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]+)")?'
)
QUOTA: Final = re.compile(
    r"exceeded quota: (?P<name>[^,]+), requested: (?P<asked>.+), used: (?P<used>.+), limited: (?P<most>.+)"
)
QUOTA_WANTS: Final = re.compile(r"failed quota: (?P<name>[^:]+): must specify (?P<fields>.+)")
WEBHOOK_DENIED: Final = re.compile(r'admission webhook "(?P<name>[^"]+)" denied the request:? ?(?P<why>.*)', re.DOTALL)
WEBHOOK_DOWN: Final = re.compile(r'failed calling webhook "(?P<name>[^"]+)":? ?(?P<why>.*)', re.DOTALL)
POLICY_DENIED: Final = re.compile(
    r"ValidatingAdmissionPolicy '(?P<name>[^']+)'.* denied request: (?P<why>.*)", re.DOTALL
)
POD_SECURITY: Final = re.compile(r'violates PodSecurity "(?P<level>[^"]+)": (?P<why>.*)', re.DOTALL)
NO_ACCOUNT: Final = re.compile(r"error looking up service account (?P<namespace>[^/]+)/(?P<name>[^:]+): ")
CHARTS_ACCOUNT: Final = "-submit"
"""How the name of the account ends in whose name the chart's schedule submits."""
ROLE_FOR_PEOPLE: Final = 'docs/kubernetes.md has all that submitting needs, under "Who may submit"'
NO_NAMESPACE: Final = re.compile(r'namespaces "(?P<name>[^"]+)" not found')


def refused(error: ApiException, namespace: str) -> JobError:
    """The error to raise for an answer that is none of 2xx."""
    message, reason = _said(error)
    status = error.status
    if status == 401:
        return JobError(
            "the cluster does not know who you are (401): the credentials in the kubeconfig are missing or expired. "
            "Log in to the cluster again until `kubectl get pods` works"
        )
    if status == 404 and not reason:  # an object that is missing has one; a path that is missing has none
        return JobError(
            "the cluster does not know ray.io/v1 rayjobs: KubeRay is not installed there, or is older than 1.0. Ask "
            "its administrator to install the KubeRay operator with its CRDs, see docs/kubernetes.md"
        )
    if found := NO_NAMESPACE.search(message):
        return JobError(f"there is no namespace {found['name']!r}: give another one with --namespace, or create it")
    if words := words_of(message, namespace):
        return JobError(words)
    if status in (400, 422):
        return JobError(
            f"the cluster does not take the job: {message}. The installed chart and the cluster's KubeRay do not fit "
            "together: update the CRDs of KubeRay, or correct the value and run `helm upgrade`"
        )
    if status == 403:
        return JobError(f"the cluster forbids it: {message}. Show this to its administrator")
    return JobError(f"the API server answers {status} {error.reason}: {message}. Try again in a minute")


def unreachable(error: Exception, host: str) -> JobError:
    """The error to raise where there is no answer at all."""
    why = str(error).rpartition(": ")[2] or type(error).__name__
    return JobError(
        f"cannot reach the API server at {host} ({why}): is the cluster up, the network or VPN connected, and the "
        "right context chosen (`kubectl config current-context`)?"
    )


def words_of(message: str, namespace: str) -> str | None:
    """What a refusal means, where it is one of those that are known."""
    if found := QUOTA.search(message):
        asked, used, most = found["asked"], found["used"], found["most"].rstrip(". ")
        return (
            f"the quota {found['name']} of namespace {namespace} is used up: {asked} asked for, {used} used, {most} "
            "allowed. Wait until other jobs have ended, ask for less, or have the quota raised"
        )
    if found := QUOTA_WANTS.search(message):
        return (
            f"the quota {found['name']} of namespace {namespace} wants every container to say {found['fields']}: set "
            "resources (requests and limits) for the head and for each worker group in the chart's values"
        )
    if found := FORBIDDEN.search(message):
        return _not_allowed(found.groupdict(), namespace)
    if found := POD_SECURITY.search(message):
        return (
            f"namespace {namespace} allows pods of level {found['level']} only: {_short(found['why'])}. Correct what "
            "was added to the pods in the chart's values, or use another namespace"
        )
    for pattern in (WEBHOOK_DENIED, POLICY_DENIED):
        if found := pattern.search(message):
            return (
                f"the cluster's policy {found['name']} refuses it: {_short(found['why'])}. Correct that in the chart's "
                "values, or show it to the cluster's administrator"
            )
    if found := WEBHOOK_DOWN.search(message):
        return (
            f"the webhook {found['name']}, which has to agree, does not answer ({_short(found['why'])}). Ask the "
            "cluster's administrator whether its pods run, then try again"
        )
    if found := NO_ACCOUNT.search(message):
        return (
            f"service account {found['name']} is not in namespace {found['namespace']}: set serviceAccount.create, or "
            "name one that is there (serviceAccount.name)"
        )
    return None


def _not_allowed(found: dict[str, Any], namespace: str) -> str:
    resource = f"{found['resource']}.{found['group']}" if found["group"] else found["resource"]
    where = f"namespace {found['namespace'] or namespace}"
    user = found["user"]
    if user.startswith("system:serviceaccount:"):
        owner, name = user.split(":")[2:4]
        subject = f"service account {name} of namespace {owner}"
    else:
        subject = user
    made = "the chart makes it with rbac.create" if user.endswith(CHARTS_ACCOUNT) else ROLE_FOR_PEOPLE
    return (
        f"{subject} may not {found['verb']} {resource} in {where}. Ask the cluster's administrator for a Role with the "
        f"verb {found['verb']!r} on {resource!r} there, bound to it ({made})"
    )


def _said(error: ApiException) -> tuple[str, str]:
    """Message and reason of an answer; no reason where it is not Kubernetes' own kind of answer."""
    body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else error.body or ""
    try:
        status = json.loads(body)
        return str(status.get("message", "")), str(status.get("reason", ""))
    except (ValueError, AttributeError):
        return _short(body) or str(error.reason), ""


def _short(text: str) -> str:
    """One line of at most 300 characters."""
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= 300 else line[:299] + "…"
