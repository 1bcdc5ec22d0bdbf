"""A dry run tells the speed here, whatever could be probed, and takes as long for many queries as for a few."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from made_media import chirp, encode
from small_model import RATE, save_small, small_separator

from operators.settings import ExtractSettings
from operators.stem_engine import StemEngine
from workflows.device import DeviceError
from workflows.dry_run import dry_run, print_estimate
from workflows.extract import ExtractJob


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source that is too small to be probed before its unit, catalogs of 1 and 20 queries, and a model."""
    folder = tmp_path_factory.mktemp("dry")
    encode(folder / "short.wav", chirp(RATE, 3.0), RATE)
    for queries in (1, 20):
        lines = [f"- {{id: q{number}, text: sound number {number}}}\n" for number in range(queries)]
        (folder / f"of_{queries}.yaml").write_text("".join(lines))
    save_small(folder / "small.safetensors")
    return folder


def job(folder: Path, queries: int, device: str = "cpu") -> ExtractJob:
    return ExtractJob(
        sources=(str(folder / "short.wav"),),
        catalog=str(folder / f"of_{queries}.yaml"),
        out=str(folder / "out"),
        settings=ExtractSettings(model=str(folder / "small.safetensors")),
        device=device,
    )


def test_the_speed_is_told_where_nothing_could_be_probed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    estimate = dry_run(job(folder, 1))
    assert (estimate.hours, estimate.unprobed_members, estimate.queries) == (0.0, 1, 1)
    assert estimate.device == "cpu"
    assert estimate.times_real_time > 1.0
    print_estimate(estimate, as_json=False)
    said = f"{estimate.times_real_time:g} x real time for 1 query here (cpu), without the gate"
    printed = capsys.readouterr().out
    assert said in printed
    assert "at most" not in printed
    assert not (folder / "out").exists()


def test_only_a_few_queries_are_timed_and_all_are_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[int] = []
    stretches = StemEngine.stretches

    def watched(engine: StemEngine, *arguments: object) -> object:
        timed.append(len(engine.condition))
        return stretches(engine, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(StemEngine, "stretches", watched)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        estimate = dry_run(job(folder, 20))
    finally:
        torch.set_num_threads(threads)
    batch = small_separator().cpu_pairs
    assert 2 * batch < estimate.queries == 20
    assert timed == [1, batch, 2 * batch]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_here_is_refused(folder: Path) -> None:
    with pytest.raises(DeviceError, match="use --device cpu, or auto"):
        dry_run(job(folder, 1, "cuda"))
