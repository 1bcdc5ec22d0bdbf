"""What can be told to be wrong with the options of a run before anything is done: on the command line, and before a job
is sent to where it is not at hand any more."""

from __future__ import annotations

from workflows.commands.options import DEVICES, FEWEST_WORKERS, PORTS, UNIT_SECONDS
from workflows.commands.web_address import without_user, wrong_address


def wrong_run(
    *,
    device: str = "auto",
    unit_seconds: float = UNIT_SECONDS[1],
    workers: int | None = None,
    max_gpu_hours: float | None = None,
    metrics_port: int | None = None,
    pushgateway: str | None = None,
) -> str:
    """What is wrong with these options, each alone and all together, and what they may be; nothing where all is right.

    >>> wrong_run(max_gpu_hours=1.0, device="cpu")
    '--max-gpu-hours is 1 with --device cpu; give hours above 0, on a GPU'
    """
    if device not in DEVICES:
        return f"--device is {device!r}; choose auto, cpu or cuda"
    if not UNIT_SECONDS[0] <= unit_seconds <= UNIT_SECONDS[1]:
        return f"--unit-seconds is {unit_seconds:g}; give a number from 1 to 600"
    if workers is not None and workers < FEWEST_WORKERS:
        return f"--workers is {workers}; give at least 1"
    if max_gpu_hours is not None and not (max_gpu_hours > 0 and device != "cpu"):
        return f"--max-gpu-hours is {max_gpu_hours:g} with --device {device}; give hours above 0, on a GPU"
    if metrics_port is not None and not PORTS[0] <= metrics_port <= PORTS[1]:
        return f"--metrics-port is {metrics_port}; give a number from 1 to 65535"
    if pushgateway is not None and (said := wrong_address(pushgateway) or _with_user(pushgateway)):
        shown = without_user(pushgateway)
        return f"--pushgateway is {shown!r}: {said}; give an address such as http://pushgateway:9091"
    return ""


def _with_user(address: str) -> str:
    shown = without_user(address) != address
    return "a user and a password would be shown to whoever reads the log" if shown else ""
