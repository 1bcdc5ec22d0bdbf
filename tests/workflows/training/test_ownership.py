"""Of two trainings into one OUT the one that began last goes on."""

from __future__ import annotations

from pathlib import Path

import cloudpickle
import pytest

from operators.whole_file import place
from workflows.training.job import TrainingRunError
from workflows.training.ownership import Ownership
from workflows.training.worker import TrainStore


def test_who_began_last_owns_it(tmp_path: Path) -> None:
    out = place(tmp_path / "out")
    first = Ownership.take(out)
    first.expect()
    second = Ownership.take(out)
    second.expect()
    assert (first.holds(), second.holds()) == (False, True)
    with pytest.raises(TrainingRunError, match=r"another training into .*out has begun since"):
        first.expect()


def test_a_relative_out_is_the_same_place_for_a_worker_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    sent = cloudpickle.dumps(Ownership.take(place("out")))
    monkeypatch.chdir(tmp_path / "there")
    assert cloudpickle.loads(sent).holds()


def test_an_out_that_is_not_seen_is_told_apart_from_one_that_another_owns(tmp_path: Path) -> None:
    ownership = Ownership.take(place(tmp_path / "out"))
    (tmp_path / "out" / "owner").unlink()
    with pytest.raises(TrainingRunError, match=r"owner is not there: .* must be a folder that all nodes see, or a URL"):
        ownership.expect()


def test_only_the_owner_releases_it(tmp_path: Path) -> None:
    out = place(tmp_path)
    first, second = Ownership.take(out), Ownership.take(out)
    first.release()
    second.expect()
    second.release()
    second.release()
    assert list(tmp_path.iterdir()) == []


def test_who_does_not_own_it_keeps_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[object] = []
    monkeypatch.setattr("ray.train.report", lambda metrics, **_: kept.append(metrics))
    first, second = (TrainStore(0, Ownership.take(place(tmp_path))) for _ in range(2))
    with pytest.raises(TrainingRunError):
        first.save({"step": 2})
    second.save({"step": 2})
    assert kept == [{"step": 2}]
