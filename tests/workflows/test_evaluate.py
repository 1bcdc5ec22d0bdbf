"""Evaluation on a list: rows in order, improvements over the mixture, errors that name file, line and column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from small_clapsep import save_small_published
from small_model import RATE, save_small

from model.metrics import si_sdr, snr_sdr
from model.mixing import mix_at_snr
from model.registry import model_signature
from model.separator import PrecisionError
from workflows.device import DeviceError
from workflows.evaluate import ListError, bootstrap_interval, evaluate, read_list, summarise

HEADER = "target_path,noise_path,snr_db,caption,negative_caption,target_label\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tones of different lengths at the small model's rate, and a list of two mixtures."""
    folder = tmp_path_factory.mktemp("list")
    for name, hertz, seconds in (("low", 200, 3.0), ("mid", 500, 2.0), ("high", 900, 3.0)):
        t = np.arange(int(seconds * RATE)) / RATE
        soundfile.write(folder / f"{name}.wav", 0.3 * np.sin(2 * np.pi * hertz * t), RATE, subtype="FLOAT")
    (folder / "list.csv").write_text(
        HEADER + "low.wav,high.wav,0,a low tone,a high tone,low\nhigh.wav,mid.wav,3,a high tone,a tone,high\n"
    )
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_small(tmp_path_factory.mktemp("model") / "small.safetensors"))


def test_rows_come_in_list_order_with_improvements_over_the_mixture(root: Path, checkpoint: str) -> None:
    rows = evaluate(root / "list.csv", root, checkpoint, bss=True).rows
    assert [(row.row, row.caption, row.target_label) for row in rows] == [
        (0, "a low tone", "low"),
        (1, "a high tone", "high"),
    ]
    low, high = (soundfile.read(root / f"{name}.wav", dtype="float32")[0] for name in ("low", "high"))
    target, _, mixture = map(torch.from_numpy, mix_at_snr(low, high, 0.0))
    assert rows[0].si_sdr_db - rows[0].si_sdri_db == pytest.approx(float(si_sdr(mixture, target)), abs=1e-3)
    assert float(snr_sdr(mixture, target)) == pytest.approx(0.0, abs=1e-3)
    assert rows[0].bss_sdri_db is not None


def test_the_negative_caption_reaches_the_network(root: Path, checkpoint: str) -> None:
    without, with_it = (evaluate(root / "list.csv", root, checkpoint, negative=n).rows for n in (False, True))
    assert [row.sdri_db for row in without] != [row.sdri_db for row in with_it]


def test_an_evaluation_names_its_model_and_what_it_computed_in(root: Path, checkpoint: str) -> None:
    done = evaluate(root / "list.csv", root, checkpoint, device="cpu", limit=1)
    assert (len(done.rows), done.device, done.precision) == (1, "cpu", "float32")
    assert done.model_signature == model_signature(checkpoint)
    with pytest.raises(PrecisionError, match="precision is bfloat16"):
        evaluate(root / "list.csv", root, checkpoint, device="cpu", precision="bfloat16")


def test_every_mixture_is_separated_in_the_precision_that_was_asked_for(root: Path, tmp_path: Path) -> None:
    clapsep = str(save_small_published(tmp_path / "tiny.safetensors"))
    half, single = (
        evaluate(root / "list.csv", root, clapsep, device="cpu", precision=precision)
        for precision in ("bfloat16", "float32")
    )
    assert (half.precision, single.precision) == ("bfloat16", "float32")
    for ours, theirs in zip(half.rows, single.rows, strict=True):  # made ready for it once, used for all
        assert ours.sdri_db != theirs.sdri_db
        assert ours.sdri_db == pytest.approx(theirs.sdri_db, abs=0.2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(root: Path, checkpoint: str) -> None:
    with pytest.raises(DeviceError, match="no GPU on this machine"):
        evaluate(root / "list.csv", root, checkpoint, device="cuda")


def test_a_summary_has_the_mean_inside_its_interval(root: Path, checkpoint: str) -> None:
    rows = evaluate(root / "list.csv", root, checkpoint).rows
    summary = summarise(rows)
    assert summary["n"] == 2
    low, high = summary["sdri_db_interval"]
    assert low <= summary["sdri_db"] <= high
    assert summarise([]) == {"n": 0}


def test_the_interval_of_equal_values_is_a_point_and_shrinks_with_their_number() -> None:
    assert bootstrap_interval([2.0] * 5) == (2.0, 2.0)
    values = np.random.default_rng(0).normal(3.0, 1.0, 400)
    few, many = bootstrap_interval(list(values[:25])), bootstrap_interval(list(values))
    assert many[1] - many[0] < (few[1] - few[0]) / 2
    assert many[0] < 3.0 < many[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "", "no rows"),
        (lambda text: text.replace("caption", "words"), "lacks the columns caption"),
        (lambda text: text.replace(",3,", ",loud,"), "line 3: snr_db is 'loud'"),
        (lambda text: text.replace("mid.wav", "gone.wav"), "gone.wav"),
    ],
)
def test_a_bad_list_is_refused_with_its_place(
    root: Path, tmp_path: Path, change: Callable[[str], str], said: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(change((root / "list.csv").read_text()))
    with pytest.raises(ListError, match=said):
        read_list(path, root)
