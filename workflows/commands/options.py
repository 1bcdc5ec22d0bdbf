"""Options that several commands share, each written once: its type, its name, its help, and its check where typer has
none."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from workflows.commands.endings import wrong_use

DEVICES: Final = ("auto", "cpu", "cuda")
QUERY_KINDS: Final = ("text", "audio", "both")
UNIT_SECONDS: Final = (1.0, 600.0)
FEWEST_WORKERS: Final = 1
PORTS: Final = (1, 65_535)

Json = Annotated[bool, typer.Option("--json", help="one JSON object per line instead of text")]
ModelName = Annotated[
    str, typer.Option("--model", help="a model's name (see: soundquarry models), or the path of a checkpoint")
]

Sources = Annotated[
    list[str],
    typer.Argument(
        help="files, directories, globs, tar and zip archives, manifests (csv, jsonl, parquet); local or any fsspec URL"
    ),
]
CatalogName = Annotated[
    str, typer.Option("--catalog", help="catalog in YAML, or the name of a ready one (everyday, animals)")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda")]
Threshold = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        help="presence (0 to 1) from which a query is separated, and heard in an event; default: the model's",
    ),
]
GateThreshold = Annotated[
    float | None,
    typer.Option(
        "--gate-threshold",
        help="presence (0 to 1) from which a query is separated, where that is not --threshold: higher is faster; a "
        "query's own threshold in the catalog wins",
    ),
]
Rate = Annotated[str, typer.Option("--rate", help="sample rate of the stems: model, or source for that of each track")]
Precision = Annotated[str, typer.Option("--precision", help="what the network computes in: auto, float32 or bfloat16")]
Channels = Annotated[str, typer.Option("--channels", help="channels of the stems: source, or mono for their mean")]
UnitSeconds = Annotated[float, typer.Option("--unit-seconds", help="length of a unit of work, 1 to 600 seconds")]
Workers = Annotated[
    int | None, typer.Option("--workers", help="separating actors; default: one per GPU, or per 8 cores")
]
MaxGpuHours = Annotated[
    float | None,
    typer.Option(
        "--max-gpu-hours",
        help="hours of GPU time, all GPUs together, after which no further unit is begun; the next run goes on",
    ),
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="try permanently failed sources again")]
Address = Annotated[
    str | None, typer.Option("--address", help="Ray cluster to join; default: RAY_ADDRESS, else an embedded one")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="say what would be done, and do nothing")]
UcsList = Annotated[
    str | None,
    typer.Option("--ucs-list", help="CSV with a column CatID, or one a line: the categories that a catalog may name"),
]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        envvar="SOUNDQUARRY_METRICS_PORT",
        help="port at which Prometheus may ask how the run is doing; default: none",
    ),
]
Pushgateway = Annotated[
    str | None,
    typer.Option(
        "--pushgateway",
        envvar="SOUNDQUARRY_PUSHGATEWAY",
        help="address of a Prometheus Pushgateway that is told how the run ended",
    ),
]
MetricsJob = Annotated[
    str,
    typer.Option("--metrics-job", envvar="SOUNDQUARRY_METRICS_JOB", help="job label of what the Pushgateway is told"),
]


def check_device(device: str) -> None:
    """Ends the command for a device that there is not."""
    if device not in DEVICES:
        wrong_use(f"--device is {device!r}; choose auto, cpu or cuda")
