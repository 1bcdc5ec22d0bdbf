"""Values that the chart refuses, and what it says of them: the value or its path, and what may stand there."""

from __future__ import annotations

from typing import Any, Final

import pytest
from rendered_chart import JOB, NIGHTLY, ONCE, TRAINING, merged, refusal, rendered

AUTOSCALING: Final = {"autoscaling": {"enabled": True}}
KEPT: Final = {"shutdownAfterJobFinishes": False}
ON_GPUS: Final = {"workers": {"gpu": {"enabled": True, "replicas": 2, "maxReplicas": 4}}}
RECIPE: Final = {"base": "supervised", "about": "Ours."}


def training(*, mode: str = "once", **options: Any) -> dict[str, Any]:
    return {"mode": mode, "job": {**TRAINING, **options}}


OUT_OF_SCHEMA: Final[dict[str, tuple[dict[str, Any], str, str]]] = {
    "a value that is not there": ({"replicas": 3}, "replicas", "not allowed"),
    "a slip of the pen": ({"networkPolicy": {"enable": True}}, "networkPolicy: ", "enable is not allowed"),
    "a slip far below": ({"workers": {"gpu": {"gpu": 2}}}, "workers.gpu: ", "gpu is not allowed"),
    "an unknown mode": ({"mode": "daily"}, "mode", '"submit", "once", "scheduled"'),
    "a mode that the CRD would take": (
        {"run": {"submissionMode": "Bogus"}},
        "run.submissionMode",
        '"K8sJobMode", "HTTPMode", "SidecarMode"',
    ),
    "submitting by hand": ({"run": {"submissionMode": "InteractiveMode"}}, "run.submissionMode", '"K8sJobMode"'),
    "a negative number of tries": ({"run": {"backoffLimit": -1}}, "run.backoffLimit", "greater than or equal to 0"),
    "a deadline in words": (
        {"run": {"activeDeadlineSeconds": "1h"}},
        "run.activeDeadlineSeconds",
        "Expected: [integer,null]",
    ),
    "no time at all": ({"run": {"preRunningDeadlineSeconds": 0}}, "run.preRunningDeadlineSeconds", "equal to 1"),
    "a number for a switch": ({"run": {"suspend": 1}}, "run.suspend", "Expected: boolean"),
    "an unknown workflow": ({"job": {"workflow": "separate"}}, "job.workflow", '"extract"'),
    "a job without a workflow": ({"job": {"sources": ["s3://a"]}}, "workflow", "required"),
    "a recipe in words": ({"recipe": "supervised"}, "recipe", "Expected: [object,null]"),
    "a catalog in words": ({"catalog": "everyday"}, "catalog", "Expected: [array,object,null]"),
    "a file that is no text": ({"files": {"a.csv": [1, 2]}}, "files.a.csv", "Expected: string"),
    "a file with a path": ({"files": {"a/b.csv": "x"}}, "files", '"a/b.csv" does not match'),
    "an unknown scheduler": ({"schedule": {"kind": "Workflow"}}, "schedule.kind", '"CronJob", "RayCronJob"'),
    "two runs at a time": ({"schedule": {"concurrencyPolicy": "Replace"}}, "schedule.concurrencyPolicy", '"Forbid"'),
    "half a version": ({"ray": {"version": "2.60"}}, "ray.version", "pattern"),
    "an unknown authentication": ({"ray": {"auth": "none"}}, "ray.auth", '"token", "disabled"'),
    "a parameter that is no text": (
        {"ray": {"rayStartParams": {"num-cpus": 2}}},
        "ray.rayStartParams.num-cpus",
        "Expected: string",
    ),
    "memory without a unit": (
        {"head": {"resources": {"limits": {"memory": 8}}}},
        "head.resources.limits.memory",
        "Expected: string",
    ),
    "memory in other units": (
        {"head": {"resources": {"limits": {"memory": "8GB"}}}},
        "head.resources.limits.memory",
        "Mi|Gi|Ti|M|G|T",
    ),
    "cores in words": (
        {"workers": {"cpu": {"resources": {"requests": {"cpu": "four"}}}}},
        "workers.cpu.resources.requests.cpu",
        "[1-9][0-9]*m?",
    ),
    "no limit of memory": (
        {"tests": {"resources": {"limits": {"memory": None}}}},
        "tests.resources.limits",
        "memory is required",
    ),
    "no GPU on a GPU worker": ({"workers": {"gpu": {"gpus": 0}}}, "workers.gpu.gpus", "equal to 1"),
    "an unknown effect": (
        {"head": {"tolerations": [{"key": "spot", "effect": "NoRun"}]}},
        "head.tolerations.0.effect",
        '"NoSchedule"',
    ),
    "a label that is none": ({"head": {"labels": {"team": "a b"}}}, "head.labels.team", "pattern"),
    "an unknown scratch": ({"scratch": {"kind": "hostPath"}}, "scratch.kind", '"emptyDir"'),
    "an unknown model to pull": ({"models": {"pull": ["mini"]}}, "models.pull.0", '"clapsep"'),
    "a secret among the values": (
        {"envFrom": [{"secret": {"AWS_SECRET_ACCESS_KEY": "abc"}}]},
        "envFrom.0",
        "secret is not allowed",
    ),
    "an environment without a name": ({"env": [{"value": "1"}]}, "env.0", "name is required"),
    "half a digest": ({"image": {"digest": "sha256:abc"}}, "image.digest", "[0-9a-f]{64}"),
    "a tag with a colon": ({"image": {"tag": "soundquarry:1"}}, "image.tag", "pattern"),
    "root": ({"podSecurity": {"runAsUser": 0}}, "podSecurity.runAsUser", "equal to 1"),
    "a port that is none": ({"networkPolicy": {"egressPorts": [70000]}}, "networkPolicy.egressPorts.0", "65535"),
    "a price below nothing": ({"monitoring": {"gpuHourPrice": -1}}, "monitoring.gpuHourPrice", "equal to 0"),
    "a currency sign": ({"monitoring": {"currency": "€"}}, "monitoring.currency", "[A-Z]{3}"),
    "a name in unicode": ({"fullnameOverride": "klänge"}, "fullnameOverride", "pattern"),
    "a name that is too long": ({"fullnameOverride": "a" * 35}, "fullnameOverride", "equal to 34"),
    "a word that is too long": ({"nameOverride": "a" * 35}, "nameOverride", "equal to 34"),
    "everything of a part": ({"autoscaling": None}, "autoscaling", "required"),
}

NOT_TOGETHER: Final[dict[str, tuple[dict[str, Any], str, str]]] = {
    "a run of nothing": ({"mode": "once"}, "mode is once, but job is empty", "mode=submit"),
    "a schedule without a time": (
        {"mode": "scheduled", "job": JOB},
        "mode is scheduled, but schedule.cron is empty",
        '"0 2 * * *"',
    ),
    "a time without a schedule": (
        {**ONCE, "schedule": {"cron": "0 2 * * *"}},
        'schedule.cron is "0 2 * * *", but mode is once',
        "mode=scheduled",
    ),
    "a scheduler without a schedule": (
        {"schedule": {"kind": "RayCronJob"}},
        "schedule.kind is RayCronJob, but mode is submit",
        "mode=scheduled",
    ),
    "four fields": (merged(NIGHTLY, {"schedule": {"cron": "0 2 * *"}}), 'schedule.cron is "0 2 * *"', "five fields"),
    "a time zone in the fields": (
        merged(NIGHTLY, {"schedule": {"cron": "TZ=UTC 0 2 * * *"}}),
        'schedule.cron is "TZ=UTC 0 2 * * *"',
        "schedule.timeZone",
    ),
    "a word for five fields": (merged(NIGHTLY, {"schedule": {"cron": "@daily"}}), '"@daily"', "five fields"),
    "an hour that is none": (merged(NIGHTLY, {"schedule": {"cron": "0 24 * * *"}}), "field 2 has 24", "23 is the most"),
    "a sign that is none": (merged(NIGHTLY, {"schedule": {"cron": "0 2 * * L#5"}}), 'field 5 is "L#5"', "* , - /"),
    "a time zone with a space": (
        merged(NIGHTLY, {"schedule": {"timeZone": "New York"}}),
        'schedule.timeZone is "New York"',
        "Europe/Vienna",
    ),
    "a RayCronJob that forbids": (
        merged(NIGHTLY, {"schedule": {"kind": "RayCronJob", "concurrencyPolicy": "Forbid"}}),
        "schedule.concurrencyPolicy is Forbid, which a RayCronJob cannot do",
        "schedule.kind=CronJob",
    ),
    "a RayCronJob with a history": (
        merged(NIGHTLY, {"schedule": {"kind": "RayCronJob", "failedJobsHistoryLimit": 0}}),
        "schedule.failedJobsHistoryLimit is 0, which a RayCronJob cannot do",
        "leave it out",
    ),
    "a RayCronJob in a queue": (
        merged(NIGHTLY, {"schedule": {"kind": "RayCronJob"}, "kueue": {"queueName": "media"}}),
        "kueue.queueName is media, but a RayCronJob",
        "schedule.kind=CronJob",
    ),
    "a queries list that nobody reads": ({**ONCE, "catalog": ["rain"]}, 'job.catalog is "everyday"', "catalog.yaml"),
    "queries that are not there": (
        {**ONCE, "job": {**JOB, "catalog": "catalog.yaml"}},
        "job.catalog is catalog.yaml, but catalog is empty",
        "everyday",
    ),
    "stems that go with the pod": (
        {**ONCE, "job": {**JOB, "out": "/data/stems"}},
        'job.out is "/data/stems", a path that no volume of the pods holds',
        "s3://bucket/talks",
    ),
    "media that no pod has": (
        {**ONCE, "job": {**JOB, "sources": ["s3://archive/talks", "media/*.mp4"]}},
        'job.sources has "media/*.mp4", a path that no volume of the pods holds',
        "volumeMounts",
    ),
    "a catalog for a training": (
        {**training(), "catalog": ["rain"]},
        "job.workflow is train, which reads no catalog",
        "leave catalog out",
    ),
    "a recipe that nobody reads": ({**training(), "recipe": RECIPE}, 'job.recipe is "supervised"', "recipe.yaml"),
    "a recipe for an extraction": ({**ONCE, "recipe": RECIPE}, 'job.workflow is "extract", so recipe', "train"),
    "a recipe that is not there": (
        training(recipe="recipe.yaml"),
        "job.recipe is recipe.yaml, but recipe is empty",
        "such as supervised",
    ),
    "a recipe in the place of one": (
        {**training(), "files": {"recipe.yaml": "base: supervised\n"}},
        "files has recipe.yaml, which is the place of recipe",
        "another name",
    ),
    "a training every night": (
        {**training(mode="scheduled"), "schedule": {"cron": "0 2 * * *"}},
        "mode is scheduled, but job.workflow is train, which is done once",
        "mode=once",
    ),
    "clips that no pod has": (
        training(data=["synthesis", "/data/clips"]),
        'job.data has "/data/clips", a path that no volume of the pods holds',
        "volumeMounts",
    ),
    "clips to validate on that no pod has": (training(validation=["dev.csv"]), 'job.validation has "dev.csv"', "URL"),
    "labels that are not there": (
        training(held_out="labels.txt"),
        'job.held_out is "labels.txt", a path that no volume of the pods holds',
        "write it under files",
    ),
    "captions that no pod has": (
        {**training(recipe="recipe.yaml"), "recipe": {**RECIPE, "queries": {"retrieval": {"cache": "c.safetensors"}}}},
        'the recipe\'s queries.retrieval.cache is "c.safetensors", a path',
        "mount it",
    ),
    "captions by a URL": (
        training(set=["queries.retrieval.cache=s3://models/c.safetensors"]),
        'the recipe\'s queries.retrieval.cache is "s3://models/c.safetensors"',
        "it is read by path",
    ),
    "more workers than GPUs": (
        {**training(workers=3), **ON_GPUS},
        "job.workers is 3, one on each GPU, and workers.gpu has 2",
        "lower job.workers",
    ),
    "more workers than GPUs that may come": (
        {**training(workers=5), **ON_GPUS, **AUTOSCALING},
        "job.workers is 5, one on each GPU, and workers.gpu has 4",
        "raise its replicas",
    ),
    "a file in the job's place": ({**ONCE, "files": {"job.yaml": "x"}}, "files has job.yaml", "another name"),
    "more than a ConfigMap holds": ({**ONCE, "files": {"a.csv": "x" * 1_000_001}}, "1,000,000", "bucket"),
    "CUDA without a GPU": (
        {**ONCE, "job": {**JOB, "device": "cuda"}},
        "job.device is cuda",
        "workers.gpu.enabled=true",
    ),
    "tokens that are turned off in passing": (
        {"ray": {"env": {"RAY_AUTH_MODE": "disabled"}}},
        "ray.env has RAY_AUTH_MODE, which the chart sets itself",
        "say ray.auth instead",
    ),
    "a gateway by its variable": (
        {"env": [{"name": "SOUNDQUARRY_PUSHGATEWAY", "value": "http://gateway:9091"}]},
        "env has SOUNDQUARRY_PUSHGATEWAY, which the chart sets itself",
        "say monitoring.pushgateway.url instead",
    ),
    "a variable in two places": (
        {"ray": {"env": {"RAY_DATA_X": "1"}}, "env": [{"name": "RAY_DATA_X", "value": "2"}]},
        "env has RAY_DATA_X, which ray.env has already",
        "leave one of them out",
    ),
    "a time to live for ever": ({"run": KEPT}, "run.ttlSecondsAfterFinished is 300, but", "set the one to 0"),
    "suspending what is kept": (
        {"run": {**KEPT, "ttlSecondsAfterFinished": 0, "suspend": True}},
        "run.suspend is true, but run.shutdownAfterJobFinishes is false",
        "set it to true",
    ),
    "queueing what is kept": (
        {"run": {**KEPT, "ttlSecondsAfterFinished": 0}, "kueue": {"queueName": "media"}},
        "kueue.queueName is media, but run.shutdownAfterJobFinishes is false",
        "set it to true",
    ),
    "queueing what grows": (
        {**AUTOSCALING, "kueue": {"queueName": "media"}},
        "kueue.queueName is media and autoscaling.enabled is true",
        "kueue.elasticJobs=true",
    ),
    "nobody to work": ({"workers": {"cpu": {"enabled": False}}}, "there are no workers", "num-cpus=2"),
    "nobody to add": (
        {**AUTOSCALING, "workers": {"cpu": {"enabled": False}}, "ray": {"rayStartParams": {"num-cpus": "2"}}},
        "autoscaling.enabled is true, but neither",
        "enable one",
    ),
    "more at least than at most": (
        {**AUTOSCALING, "workers": {"cpu": {"minReplicas": 9}}},
        "workers.cpu.minReplicas is 9, more than maxReplicas, 4",
        "lower the one",
    ),
    "more in the beginning than at most": (
        {**AUTOSCALING, "workers": {"gpu": {"enabled": True, "replicas": 2}}},
        "workers.gpu.replicas is 2, not between minReplicas, 0, and maxReplicas, 1",
        "set it to one of these",
    ),
    "idling without autoscaling": (
        {"workers": {"cpu": {"idleTimeoutSeconds": 60}}},
        "workers.cpu.idleTimeoutSeconds is 60, but nothing takes idle workers away",
        "autoscaling.enabled=true",
    ),
    "tokens of an old Ray": ({"ray": {"version": "2.51.0"}}, "ray.version is 2.51.0", "ray.auth=disabled"),
    "a port of Ray": ({"monitoring": {"metricsPort": 8265}}, "monitoring.metricsPort is 8265", "8099"),
    "a gateway that is no URL": (
        {"monitoring": {"pushgateway": {"url": "pushgateway:9091"}}},
        'monitoring.pushgateway.url is "pushgateway:9091"',
        "http://",
    ),
    "a network by its name": (
        {"networkPolicy": {"egressCidrs": ["minio.store"]}},
        'networkPolicy.egressCidrs has "minio.store"',
        "10.0.0.0/8",
    ),
    "a volume of the chart's own": ({"volumes": [{"name": "tmp", "emptyDir": {}}]}, "volumes has tmp", "another name"),
    "a claim without a name": ({"scratch": {"kind": "existingClaim"}}, "scratch.claim is empty", "name the claim"),
    "a name without a claim": ({"scratch": {"claim": "fast"}}, "scratch.claim is fast", "existingClaim"),
    "a class without a claim": ({"scratch": {"storageClass": "fast"}}, "scratch.storageClass is fast", "ephemeral"),
    "models on no claim": ({"models": {"kind": "existingClaim"}}, "models.claim is empty", "models.kind=image"),
    "models on another claim": ({"models": {"claim": "models"}}, "models.claim is models", "existingClaim"),
    "models pulled to nowhere": ({"models": {"pull": ["clapsep"]}}, "models.pull is [clapsep]", "existingClaim"),
}


@pytest.mark.parametrize("wrong", OUT_OF_SCHEMA)
def test_a_wrong_value_is_refused_by_its_path(wrong: str) -> None:
    values, path, words = OUT_OF_SCHEMA[wrong]
    lines = [line for line in refusal(values).splitlines() if line.startswith("- ") and path in line]
    assert any(words in line for line in lines), refusal(values)


@pytest.mark.parametrize("wrong", NOT_TOGETHER)
def test_values_that_do_not_fit_together_are_refused_with_a_next_step(wrong: str) -> None:
    values, words, step = NOT_TOGETHER[wrong]
    lines = [line for line in refusal(values).splitlines() if line.startswith("- ") and words in line]
    assert any(step in line for line in lines), refusal(values)


def test_all_that_is_wrong_is_told_at_once() -> None:
    text = refusal({"mode": "once", "scratch": {"claim": "fast"}, "monitoring": {"metricsPort": 8080}})
    assert text.count("\n- ") == 3


def test_paths_on_a_mounted_volume_and_beside_the_job_are_taken() -> None:
    values = {
        "mode": "once",
        "job": {**JOB, "sources": ["/data/media/*.mp4", "/etc/soundquarry/clips.csv"], "out": "/data"},
        "files": {"clips.csv": "uri\n"},
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    assert rendered(values).one("RayJob")
    beside = merged(values, {"volumeMounts": [{"name": "data", "mountPath": "/dat"}]})
    assert refusal(beside).count("no volume of the pods holds") == 2


def test_a_training_on_volumes_and_mounted_files_is_taken() -> None:
    values = {
        "mode": "once",
        "job": {
            **TRAINING,
            "data": ["synthesis", "speech", "instruments", "/data/clips", "/etc/soundquarry/clips.csv"],
            "recipe": "recipe.yaml",
            "held_out": "labels.txt",
            "out": "/data/out",
            "workers": 4,
        },
        "recipe": {**RECIPE, "queries": {"retrieval": {"cache": "/data/captions.safetensors"}}},
        "files": {"clips.csv": "path,label\n", "labels.txt": "dog\n"},
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        **ON_GPUS,
        **AUTOSCALING,
    }
    assert rendered(values).one("RayJob")


def test_every_variable_that_the_chart_sets_itself_is_refused_among_the_users() -> None:
    values = {
        "autoscaling": {"enabled": True},
        "workers": {"gpu": {"enabled": True}},
        "models": {"kind": "existingClaim", "claim": "models"},
        "scratch": {"kind": "existingClaim", "claim": "scratch"},
        "monitoring": {"pushgateway": {"url": "http://gateway:9091"}},
    }
    pods = rendered(values).pods.values()
    own = {entry["name"] for pod in pods for entry in pod["spec"]["containers"][0].get("env", [])}
    assert len(own) == 9
    text = refusal({"env": [{"name": name, "value": "1"} for name in sorted(own)]})
    assert text.count("which the chart sets itself") == 9
