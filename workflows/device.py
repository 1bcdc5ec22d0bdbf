"""The device of work that is done in this process, without Ray."""

from __future__ import annotations


class DeviceError(RuntimeError):
    """This machine lacks the device that was asked for; the message says what to ask for."""


def device_here(asked: str) -> str:
    """`asked` (auto, cpu or cuda) as this machine has it: auto is a GPU if there is one. Raises DeviceError."""
    import torch

    found = torch.cuda.is_available()
    if asked == "cuda" and not found:
        raise DeviceError("--device cuda, but torch finds no GPU on this machine; use --device cpu, or auto")
    return ("cuda" if found else "cpu") if asked == "auto" else asked
