"""Evaluation on a real local Ray: rows in order, the same whoever works, and what is wrong said before the work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from small_clapsep import save_small_published
from small_model import RATE, save_small
from typer.testing import CliRunner

from model.metrics import si_sdr, snr_sdr
from model.mixing import mix_at_snr
from model.registry import model_signature
from model.separator import PrecisionError
from workflows.cli import app
from workflows.cluster import ray_cluster
from workflows.device import DeviceError
from workflows.evaluate import BATCH, EvaluateJob, evaluate
from workflows.evaluation.mixtures import ListError
from workflows.evaluation.questions import Asking

HEADER = "target_path,noise_path,snr_db,caption,negative_caption,target_label\n"
PAIR = "low.wav,high.wav,0,a low tone,a high tone,low\nhigh.wav,mid.wav,3,a high tone,a tone,high\n"
MANY = 2 * BATCH + 3


@pytest.fixture(scope="module", autouse=True)
def ray() -> Iterator[None]:
    """One local Ray for all tests here."""
    with ray_cluster():
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tones of different lengths at the small model's rate, a list of two mixtures, and one of more batches."""
    folder = tmp_path_factory.mktemp("list")
    for name, hertz, seconds in (("low", 200, 3.0), ("mid", 500, 2.0), ("high", 900, 3.0)):
        t = np.arange(int(seconds * RATE)) / RATE
        soundfile.write(folder / f"{name}.wav", 0.3 * np.sin(2 * np.pi * hertz * t), RATE, subtype="FLOAT")
    (folder / "list.csv").write_text(HEADER + PAIR)
    names = ("low", "mid", "high")
    lines = [f"{names[at % 3]}.wav,{names[(at + 1) % 3]}.wav,{at % 5},tone {at},,{names[at % 3]}" for at in range(MANY)]
    (folder / "many.csv").write_text(HEADER + "\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_small(tmp_path_factory.mktemp("model") / "small.safetensors"))


def job(root: Path, model: str, name: str = "list.csv", **options: Any) -> EvaluateJob:
    return EvaluateJob(root / name, root, model, **{"device": "cpu", **options})


def command(root: Path, model: str, name: str = "list.csv", *options: str) -> Any:
    return CliRunner().invoke(app, ["evaluate", str(root / name), "--root", str(root), "--model", model, *options])


def test_rows_come_in_list_order_with_improvements_over_the_mixture(root: Path, checkpoint: str) -> None:
    done = evaluate(job(root, checkpoint, bss=True))
    assert [(row.row, row.caption, row.target_label) for row in done.rows] == [
        (0, "a low tone", "low"),
        (1, "a high tone", "high"),
    ]
    low, high = (soundfile.read(root / f"{name}.wav", dtype="float32")[0] for name in ("low", "high"))
    target, _, mixture = map(torch.from_numpy, mix_at_snr(low, high, 0.0))
    first = done.rows[0]
    assert first.si_sdr_db is not None
    assert first.si_sdri_db is not None
    assert first.si_sdr_db - first.si_sdri_db == pytest.approx(float(si_sdr(mixture, target)), abs=1e-3)
    assert float(snr_sdr(mixture, target)) == pytest.approx(0.0, abs=1e-3)
    assert None not in (first.bss_sdri_db, first.bss_sdr_db, first.sir_db, first.sar_db)
    assert (done.device, done.precision) == ("cpu", "float32")
    assert done.model_signature == model_signature(checkpoint)


@pytest.mark.slow
def test_scores_are_the_same_whatever_the_number_of_workers(root: Path, checkpoint: str) -> None:
    counted: list[tuple[int, int]] = []
    one = evaluate(job(root, checkpoint, "many.csv", workers=1), lambda done, of: counted.append((done, of)))
    two = evaluate(job(root, checkpoint, "many.csv", workers=2))
    assert [row.row for row in one.rows] == list(range(MANY))
    for mine, other in zip(one.rows, two.rows, strict=True):
        assert mine.caption == other.caption
        assert mine.snr_sdri_db == pytest.approx(other.snr_sdri_db, abs=1e-4)
        assert mine.si_sdr_db == pytest.approx(other.si_sdr_db, abs=1e-4)
    assert counted[-1] == (MANY, MANY)
    assert len(counted) == 3


@pytest.mark.slow
def test_the_negative_caption_reaches_the_network_and_a_limit_keeps_the_first_rows(root: Path, checkpoint: str) -> None:
    without, with_it = (evaluate(job(root, checkpoint, asking=Asking(negative=n), limit=1)).rows for n in (False, True))
    assert (len(without), len(with_it)) == (1, 1)
    assert without[0].snr_sdri_db != with_it[0].snr_sdri_db


@pytest.mark.slow
def test_every_mixture_is_separated_in_the_precision_that_was_asked_for(root: Path, tmp_path: Path) -> None:
    clapsep = str(save_small_published(tmp_path / "tiny.safetensors"))
    half, single = (evaluate(job(root, clapsep, precision=precision)) for precision in ("bfloat16", "float32"))
    assert (half.precision, single.precision) == ("bfloat16", "float32")
    for ours, theirs in zip(half.rows, single.rows, strict=True):  # made ready for it once, used for all
        assert ours.snr_sdri_db != theirs.snr_sdri_db
        assert ours.snr_sdri_db == pytest.approx(theirs.snr_sdri_db, abs=0.2)


def test_what_cannot_be_had_is_refused_before_anything_is_separated(root: Path, checkpoint: str) -> None:
    with pytest.raises(PrecisionError, match="precision is bfloat16"):
        evaluate(job(root, checkpoint, precision="bfloat16"))
    with pytest.raises(ListError, match="--limit is 0; give at least 1"):
        evaluate(job(root, checkpoint, limit=0))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(root: Path, checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(DeviceError, match="no GPU on this machine"):
        evaluate(job(root, checkpoint, device="cuda"))


def test_a_file_that_breaks_off_costs_its_rows_and_the_exit_code_and_no_more(
    root: Path, checkpoint: str, tmp_path: Path
) -> None:
    (root / "broken.wav").write_bytes((root / "mid.wav").read_bytes()[:20])
    (root / "with_broken.csv").write_text(HEADER + PAIR + "broken.wav,mid.wav,0,a tone,,mid\n")
    (tmp_path / "unseen.txt").write_text("high\n")
    files = [tmp_path / "a.json", tmp_path / "a.csv"]
    told = command(
        root, checkpoint, "with_broken.csv", "--out", str(files[0]), "--csv", str(files[1]), "--json",
        "--unseen", str(tmp_path / "unseen.txt"), "--absent",
    )  # fmt: skip
    assert told.exit_code == 1
    assert "1 of 3 mixtures could not be scored" in told.stderr
    said, result = json.loads(told.stdout), json.loads(files[0].read_text())
    assert said == {name: value for name, value in result.items() if name != "rows"}
    assert [said[name] for name in ("n", "errors", "n_absent")] == [2, 1, 2]
    assert (said["seen"]["n"], said["unseen"]["n"]) == (1, 1)
    assert [row["error"] is None for row in result["rows"]] == [True, True, False]
    assert len(files[1].read_text().splitlines()) == 4


@pytest.mark.slow
def test_two_results_are_compared_row_by_row(root: Path, checkpoint: str, tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("a.json", "b.json")]
    for file, options in zip(files, ([], ["--negative"]), strict=True):
        told = command(root, checkpoint, "list.csv", "--out", file, *options)
        assert told.exit_code == 0, told.output
        assert "snr_sdri_db" in told.stdout
    compared = CliRunner().invoke(app, ["compare", *files, "--json"])
    assert compared.exit_code == 0, compared.output
    metric = json.loads(compared.stdout)["metrics"]["snr_sdri_db"]
    old, new = (json.loads(Path(file).read_text())["rows"] for file in files)
    gain = np.mean([b["snr_sdri_db"] - a["snr_sdri_db"] for a, b in zip(old, new, strict=True)])
    assert metric["difference"] == pytest.approx(gain, abs=1e-3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--query", "smell"], "--query is 'smell'; choose text, audio or both"),
        (["--workers", "0"], "--workers is 0; give at least 1"),
        (["--exemplars", "x.csv"], "add --query audio or --query both"),
        (["--query", "audio"], "no other recording of 'low' (the target)"),
        (["--plot", "picture.bmp"], "ends in .png"),
    ],
)
def test_wrong_use_ends_with_2_and_a_sentence(root: Path, checkpoint: str, options: list[str], said: str) -> None:
    told = command(root, checkpoint, "list.csv", *options)
    assert told.exit_code == 2, told.output
    assert said in " ".join(told.stderr.split())
