"""The stage of an evaluation: numbers of rows in, their scores out.

One actor per accelerator (or per group of cores) holds the model and the questions. Files are read and scores computed
by a few threads; mixtures are separated one after the other, by the windows, the open gate and the cross-fade of the
pipeline: what else is in a batch changes a score by rounding alone. A batch whose worker was lost is done again row by
row, and a row that loses worker after worker becomes an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import soxr
import torch

from model.conditions import Query, condition_of
from model.mixing import Audio
from model.registry import load_model
from model.separator import Condition
from operators.attempts import MAX_LOST_WORKERS, AttemptLedger, Attempts
from operators.query_conditions import read_exemplar
from operators.stem_engine import Coverage, Precision, StemEngine
from workflows.evaluation.questions import Question
from workflows.evaluation.rows import RowScores, as_table
from workflows.evaluation.scores import failed, score
from workflows.evaluation.sounds import MixedSounds, mixed_sounds

THREADS: Final = 2
"""Threads that read and score beside the network."""
BROKEN: Final = (OSError, RuntimeError, ValueError)
"""What a row may raise: files that cannot be read, sounds that do not fit, memory that does not suffice."""


@dataclass(frozen=True)
class _Ready:
    """A row whose files were read. The queries: the one of the row, then the one for what is absent, if any."""

    question: Question
    sounds: MixedSounds
    queries: tuple[Query, ...]


class ScoreMixtures:
    """`dataset.map_batches(ScoreMixtures, batch_format="pyarrow", compute=ActorPoolStrategy(...))`.

    Takes tables with a column `row` (places in `questions`), returns tables of RowScores in that order. A row that
    cannot be scored is a row with an error.
    """

    def __init__(
        self,
        *,
        model: str,
        questions: Sequence[Question],
        bss: bool = False,
        device: str = "cpu",
        precision: Precision = "auto",
        threads: int = 1,
        attempts: Attempts | None = None,
    ) -> None:
        self.threads = threads
        torch.set_num_threads(threads)
        self.model = load_model(model)
        self.questions, self.bss, self.device, self.precision = questions, bss, device, precision
        self.engine: StemEngine | None = None
        self.attempts: Attempts = attempts or AttemptLedger()
        self.pool = ThreadPoolExecutor(THREADS, "score", initializer=torch.set_num_threads, initargs=(1,))

    def __call__(self, batch: pa.Table) -> pa.Table:
        torch.set_num_threads(self.threads)  # belongs to a thread, and this need not be the one that built the actor
        questions = [self.questions[place] for place in batch["row"].to_pylist()]
        if self.attempts.begin_unit(f"from {batch['row'][0].as_py()}") == 1:
            return as_table(self._together(questions))
        return as_table([self._alone(question) for question in questions])  # a worker was lost over one of them

    def _together(self, questions: Sequence[Question]) -> list[RowScores]:
        """Scores of a batch: all read, all embedded, separated one after the other, scored meanwhile."""
        read = list(self.pool.map(self._read, questions))
        rows = {row.row: row for row in read if isinstance(row, RowScores)}
        ready = [row for row in read if isinstance(row, _Ready)]
        scoring = []
        for row, condition in zip(ready, self._conditions(ready), strict=True):
            try:
                stems = [self._separate(row.sounds, condition.select(torch.tensor([i]))) for i in range(len(condition))]
            except BROKEN as error:
                rows[row.question.mixture.row] = failed(row.question.mixture, error)
                continue
            scoring.append(self.pool.submit(self._score, row, stems))
        rows |= {row.row: row for row in (future.result() for future in scoring)}
        return [rows[question.mixture.row] for question in questions]

    def _alone(self, question: Question) -> RowScores:
        """Scores of one row, unless it has cost too many workers already."""
        key = str(question.mixture.row)
        lost = self.attempts.begin(key)
        try:
            if lost >= MAX_LOST_WORKERS:
                return failed(question.mixture, MemoryError(f"{lost} workers were lost over it; give it more memory"))
            return self._together([question])[0]
        finally:
            self.attempts.end(key)

    def _read(self, question: Question) -> _Ready | RowScores:
        rate = self.model.clap.sample_rate
        try:
            sounds = mixed_sounds(question.mixture, self.model.separator.sample_rate)
            query = Query(
                texts=[question.text] if question.text else [],
                negative_texts=[question.negative_text] if question.negative_text else [],
                sounds=[read_exemplar(str(question.sound), rate)] if question.sound else [],
                negative_sounds=[read_exemplar(str(question.negative_sound), rate)] if question.negative_sound else [],
                sample_rate=rate,
            )
        except BROKEN as error:
            return failed(question.mixture, error)
        absent = (Query(texts=[question.absent]),) if question.absent else ()
        return _Ready(question, sounds, (query, *absent))

    @torch.inference_mode()
    def _conditions(self, ready: Sequence[_Ready]) -> list[Condition]:
        """The conditions of every row, all embedded together."""
        queries = [query for row in ready for query in row.queries]
        if not queries:
            return []
        together = condition_of(queries, self.model.clap, self.model.gate_clap)
        counts = torch.tensor([len(row.queries) for row in ready])
        return [together.select(places) for places in torch.arange(len(queries)).split(counts.tolist())]

    def _separate(self, sounds: MixedSounds, condition: Condition) -> Audio:
        """The stem [T] at the rate of the sounds."""
        own, rate = self.model.separator.sample_rate, sounds.sample_rate
        mixture = sounds.mixture if rate == own else soxr.resample(sounds.mixture, rate, own)
        if self.engine is None:
            self.engine = StemEngine(
                self.model, condition, [0.0], gate=False, device=self.device, precision=self.precision
            )
        self.engine.condition = condition.to(self.device)
        stem = np.zeros(len(mixture), np.float32)
        for stretch in self.engine.stretches(mixture[None], 0, 0, len(mixture), Coverage()):
            stem[stretch.start : stretch.start + stretch.stem.shape[1]] = stretch.stem[0]
        if rate != own:
            stem = soxr.resample(stem, own, rate)
            stem = np.pad(stem, (0, max(0, len(sounds.mixture) - len(stem))))[: len(sounds.mixture)]
        return stem

    def _score(self, row: _Ready, stems: Sequence[Audio]) -> RowScores:
        answer = stems[1] if len(stems) > 1 else None
        mixture = row.question.mixture
        try:
            return score(mixture, row.sounds, stems[0], bss=self.bss, absent=row.question.absent, answer=answer)
        except BROKEN as error:
            return failed(mixture, error)
