"""A run that workers share, each with its part of every batch: `python shared_run.py RANK FOLDER` is one of two."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

from model.training.loop import Schedule, train
from model.training.peers import Peers, ProcessGroup
from model.training.training_state import Row, StateFile

SCHEDULE = Schedule(steps=6, rate=0.05, warmup_steps=2, log_every=2, validate_every=3, average=0.5)
BATCH = 8
ONE_AT_A_TIME = threading.Lock()


def network() -> nn.Module:
    with ONE_AT_A_TIME, torch.random.fork_rng():  # two workers may be threads, and the generator is one
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))


def trained(peers: Peers, path: Path) -> tuple[nn.Module, list[Row]]:
    """A worker's network and rows."""
    module, rows, part = network(), list[Row](), BATCH // peers.count

    def loss(step: int) -> dict[str, Tensor]:
        x = torch.randn(BATCH, 4, generator=torch.Generator().manual_seed(step))
        own = x[peers.rank * part : (peers.rank + 1) * part]
        error = (module(own)[:, 0] - own.sum(dim=1).tanh()).square().mean()
        return {"loss": error, "rank": torch.tensor(float(peers.rank))}

    def validate(average: nn.Module) -> Row:
        return {"score": float(average[0].weight.detach().sum()) + peers.rank}

    train(module, loss, SCHEDULE, StateFile(path), validate=validate, on_log=rows.append, peers=peers)
    return module, [{name: value for name, value in row.items() if name != "seconds_per_step"} for row in rows]


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    module, _ = trained(ProcessGroup(), folder / f"{rank}.state.pt")
    torch.save(module.state_dict(), folder / f"{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
