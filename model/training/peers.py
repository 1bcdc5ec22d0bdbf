"""Several workers that train one network: gradients are averaged after every backward pass, so all of them take the
same step.

Plain all-reduces instead of DistributedDataParallel: an objective calls the parts of a network one by one (encode
once, a mask per query), and the wrapper only follows `forward`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import distributed, nn


class Peers(Protocol):
    """The workers of a run, seen from one of them."""

    rank: int
    count: int

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Every gradient becomes the mean over the workers."""

    def average_buffers(self, module: nn.Module) -> None:
        """Running means of normalisations become the mean over the workers."""

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """The mean over the workers that tell it, name by name."""


class Alone:
    """One worker."""

    rank, count = 0, 1

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """They are the mean already."""

    def average_buffers(self, module: nn.Module) -> None:
        """They are the mean already."""

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        return values


class ProcessGroup:
    """The workers of torch's default process group, which somebody has set up."""

    def __init__(self) -> None:
        self.rank, self.count = distributed.get_rank(), distributed.get_world_size()

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        held = [parameter for parameter in parameters if parameter.requires_grad]
        if not held:
            return
        used = torch.tensor([float(parameter.grad is not None) for parameter in held], device=held[0].device)
        distributed.all_reduce(used)  # one worker may not have used what another has
        for parameter, users in zip(held, used.tolist(), strict=True):
            if parameter.grad is None and users:
                parameter.grad = torch.zeros_like(parameter)
        self._average([parameter.grad for parameter in held if parameter.grad is not None])

    def average_buffers(self, module: nn.Module) -> None:
        self._average([buffer for buffer in module.buffers() if buffer.dtype.is_floating_point])

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        told: list[list[str]] = [[] for _ in range(self.count)]
        distributed.all_gather_object(told, sorted(values))
        names = sorted({name for own in told for name in own})  # one worker may not have seen what another has
        tensor = torch.tensor([values.get(name, 0.0) for name in names], dtype=torch.float64)
        if distributed.get_backend() == "nccl":  # takes nothing from the CPU
            tensor = tensor.float().cuda()
        distributed.all_reduce(tensor)
        tellers = [sum(name in own for own in told) for name in names]
        return {name: total / count for name, total, count in zip(names, tensor.tolist(), tellers, strict=True)}

    def _average(self, tensors: list[torch.Tensor]) -> None:
        if not tensors:
            return
        flat = torch.cat([tensor.detach().reshape(-1).float() for tensor in tensors])
        distributed.all_reduce(flat)
        flat /= self.count
        at = 0
        for tensor in tensors:
            tensor.detach().copy_(flat[at : at + tensor.numel()].reshape(tensor.shape))
            at += tensor.numel()
