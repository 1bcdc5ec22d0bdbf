"""The stage alone, without Ray: every row scored, in order, whatever else is in its batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
import torch
from small_model import RATE, lively, save_small

from model.metrics import bss_eval, si_sdr, snr_sdr
from operators.attempts import MAX_LOST_WORKERS, AttemptLedger
from workflows.evaluation.lists import read_list
from workflows.evaluation.questions import Asking, Question, questions_of
from workflows.evaluation.rows import RowScores, from_table
from workflows.evaluation.scores import score
from workflows.evaluation.sounds import mixed_sounds
from workflows.evaluation.stage import ScoreMixtures

LIST = (
    "target_path,noise_path,snr_db,caption,negative_caption,target_label,noise_label\n"
    "a.wav,b.wav,0,a low sound,another sound,low,high\n"
    "b.wav,c.wav,3,another sound,a low sound,high,low\n"
    "c.wav,b.wav,0,a low sound,another sound,low,high\n"
    "silent.wav,b.wav,0,nothing,another sound,quiet,high\n"
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sounds of different lengths at the small model's rate, and a list of four mixtures."""
    folder = tmp_path_factory.mktemp("list")
    for seed, (name, seconds) in enumerate((("a", 3.0), ("b", 2.0), ("c", 4.0))):
        soundfile.write(folder / f"{name}.wav", lively(seconds, seed=seed)[0], RATE, subtype="FLOAT")
    soundfile.write(folder / "silent.wav", np.zeros(2 * RATE), RATE)
    (folder / "list.csv").write_text(LIST)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_small(tmp_path_factory.mktemp("model") / "small.safetensors"))


def asked(root: Path, asking: Asking = Asking(), limit: int | None = None) -> list[Question]:  # noqa: B008 - frozen
    return questions_of(read_list(root / "list.csv", root), root, asking, limit)


def scored(checkpoint: str, questions: list[Question], places: list[int], bss: bool = False) -> list[RowScores]:
    stage = ScoreMixtures(model=checkpoint, questions=questions, bss=bss)
    return from_table(stage(pa.table({"row": places})))


def test_a_row_does_not_depend_on_what_is_in_its_batch(root: Path, checkpoint: str) -> None:
    questions = asked(root)
    together = scored(checkpoint, questions, [0, 1, 2])
    assert [row.row for row in together] == [0, 1, 2]
    assert [row.target for row in together] == ["a.wav", "b.wav", "c.wav"]
    for place, row in enumerate(together):
        (alone,) = scored(checkpoint, questions, [place])
        assert row.si_sdr_db == pytest.approx(alone.si_sdr_db, abs=1e-4)
        assert row.snr_sdri_db == pytest.approx(alone.snr_sdri_db, abs=1e-4)
    assert len({row.si_sdr_db for row in together}) == 3


def test_a_silent_target_is_not_scored_and_the_row_says_why(root: Path, checkpoint: str) -> None:
    (row,) = scored(checkpoint, asked(root), [3])
    assert (row.unscored, row.error, row.snr_sdri_db) == ("the target is silent", None, None)


def test_a_file_that_cannot_be_read_is_a_row_with_an_error_and_the_others_are_scored(
    root: Path, checkpoint: str
) -> None:
    questions = asked(root)
    whole = (root / "c.wav").read_bytes()
    try:
        (root / "c.wav").write_bytes(b"RIFF no more")
        rows = scored(checkpoint, questions, [0, 2])
    finally:
        (root / "c.wav").write_bytes(whole)
    assert rows[0].error is None
    assert rows[0].si_sdr_db is not None
    assert rows[1].error is not None
    assert "c.wav (target_path) cannot be read" in rows[1].error


def test_words_recordings_and_what_is_not_wanted_all_reach_the_network(root: Path, checkpoint: str) -> None:
    ways = [Asking(), Asking(negative=True), Asking("audio"), Asking("both"), Asking("audio", negative=True)]
    values = [scored(checkpoint, asked(root, way, 1), [0])[0].si_sdr_db for way in ways[:4]]
    assert len(set(values)) == 4
    assert ways[4].negative
    pool = root / "pool"
    for label in ("low", "high"):
        (pool / label).mkdir(parents=True, exist_ok=True)
        soundfile.write(pool / label / "x.wav", lively(1.0, seed=len(label))[0], RATE, subtype="FLOAT")
    given = [
        scored(checkpoint, asked(root, Asking("audio", negative, exemplars=pool), 1), [0])[0].si_sdr_db
        for negative in (False, True)
    ]
    assert given[0] != given[1]
    assert given[0] not in values


def test_an_absent_query_is_answered_apart_and_leaves_the_scores_alone(root: Path, checkpoint: str) -> None:
    plain, with_absent = (scored(checkpoint, asked(root, Asking(absent=absent)), [0])[0] for absent in (False, True))
    assert with_absent.absent_caption == "nothing"
    assert with_absent.absent_below_db is not None
    assert with_absent.absent_below_db > 0.0
    assert plain.absent_below_db is None
    assert plain.si_sdr_db == pytest.approx(with_absent.si_sdr_db, abs=1e-4)


def test_scores_are_those_of_the_metrics(root: Path) -> None:
    mixture = asked(root)[1].mixture
    sounds = mixed_sounds(mixture, RATE)
    stem = (0.8 * sounds.target + 0.3 * sounds.rest).astype(np.float32)
    row = score(mixture, sounds, stem, bss=True, absent=None, answer=None)
    estimate, target, mixed, rest = (
        torch.from_numpy(sound).double() for sound in (stem, sounds.target, sounds.mixture, sounds.rest)
    )
    assert row.snr_sdri_db == pytest.approx(float(snr_sdr(estimate, target) - snr_sdr(mixed, target)))
    assert row.si_sdr_db == pytest.approx(float(si_sdr(estimate, target)))
    assert row.si_sdri_db == pytest.approx(float(si_sdr(estimate, target) - si_sdr(mixed, target)))
    theirs, of_mixture = bss_eval(estimate, target, rest), bss_eval(mixed, target, rest)
    assert row.bss_sdr_db == pytest.approx(float(theirs.sdr))
    assert row.bss_sdri_db == pytest.approx(float(theirs.sdr - of_mixture.sdr), abs=1e-6)
    assert (row.sir_db, row.sar_db) == pytest.approx((float(theirs.sir), float(theirs.sar)))
    assert row.snr_sdri_db != pytest.approx(row.bss_sdri_db, abs=0.1)


def test_a_list_at_another_rate_than_the_models_is_scored_at_its_own(root: Path, checkpoint: str) -> None:
    (root / "dcase.csv").write_text("source,noise,snr,caption\na,b,0,a low sound\n")
    questions = questions_of(read_list(root / "dcase.csv", root), root, Asking())
    sounds = mixed_sounds(questions[0].mixture, RATE)
    assert (sounds.sample_rate, len(sounds.mixture)) == (16_000, 3 * 16_000)
    (row,) = scored(checkpoint, questions, [0])
    at_own_rate = scored(checkpoint, asked(root), [0])[0]
    assert row.error is None
    assert row.si_sdr_db == pytest.approx(at_own_rate.si_sdr_db, abs=0.5)  # the same sounds, resampled twice


def test_a_row_that_loses_worker_after_worker_becomes_an_error_and_spares_its_batch(
    root: Path, checkpoint: str
) -> None:
    attempts = AttemptLedger()
    attempts.begin_unit("from 0")  # a worker died over the batch,
    for _ in range(MAX_LOST_WORKERS):
        attempts.begin("1")  # and then again and again over row 1
    stage = ScoreMixtures(model=checkpoint, questions=asked(root), attempts=attempts)
    rows = from_table(stage(pa.table({"row": [0, 1]})))
    assert rows[0].error is None
    assert rows[1].error is not None
    assert "3 workers were lost over it" in rows[1].error
