"""Of two trainings into one OUT the one that began last goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from workflows.training.job import TrainingRunError
from workflows.training.ownership import expect_owner, take
from workflows.training.worker import TrainStore


def test_who_began_last_owns_it(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    first = take(out)
    expect_owner(out, first)
    second = take(out)
    expect_owner(out, second)
    with pytest.raises(TrainingRunError, match=r"another training into .*out has begun since"):
        expect_owner(out, first)


def test_who_does_not_own_it_keeps_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[object] = []
    monkeypatch.setattr("ray.train.report", lambda metrics, **_: kept.append(metrics))
    out = str(tmp_path)
    first, second = (TrainStore(0, out, take(out)) for _ in range(2))
    with pytest.raises(TrainingRunError):
        first.save({"step": 2})
    second.save({"step": 2})
    assert kept == [{"step": 2}]
