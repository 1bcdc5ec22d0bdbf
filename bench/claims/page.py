"""docs/claims.md, made of the scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from bench.claims.arms import ARMS
from bench.claims.claims import Chosen, Scores, answers, apart_curve, cache_curve, dropout_curve, weak_shares
from bench.claims.verdicts import Estimate, difference_of, mean_of

INTRODUCTION = """\
# Which claims hold

Four papers stand behind the training schemes. This page puts their claims to the test on real recordings, at a size
that two cores train in an afternoon. `make claims` makes it: every number below comes from that one command.

What holds at this size may not at a hundred times the data, and the other way round; an interval (95 %, bootstrap over
mixtures) tells how sure a difference between two *trained networks* is on other mixtures of this kind, not what other
seeds would give. "Holds" means that the whole interval of the paired difference on seen labels lies above zero, "does
not hold" that it lies below, "undecided" anything else.
"""

FINDINGS = Path(__file__).with_name("findings.md")
"""What a person makes of the tables."""
GAP = "The share of the gap between audio-only and text training that is closed.\n"


def page(scores: Scores, seen: Chosen, setting: str) -> str:
    """The whole page. Arms that were not trained are missing from its tables."""
    parts = [INTRODUCTION, "## Setting\n", setting, "## Claims\n", _claims(scores, seen)]
    parts += [FINDINGS.read_text(encoding="utf-8"), "## Every arm\n", _arms(scores, seen)]
    for title, curve, lowest in (
        ("Embedding dropout, by its rate", dropout_curve(scores, seen), "vanilla"),
        ("With a modality gap", apart_curve(scores, seen), "vanilla_apart"),
    ):
        if curve:
            parts += [f"## {title}\n", GAP, _closing(curve, _is_gap(scores, lowest, seen))]
    if sizes := cache_curve(scores, seen):
        heads = ("captions", "seen: SI-SDRi, dB", "unseen: SI-SDRi, dB")
        table = _table(heads, [(kind, str(known), str(unknown)) for kind, known, unknown in sizes])
        parts += ["## Retrieval, by size of the cache and rule\n", table]
    if shares := weak_shares(scores, seen):
        rows = [(what, paper, _percent(ratio, added=paper.startswith("+"))) for what, paper, ratio in shares]
        parts += ["## Weak and semi-supervised training\n", _table(("", "paper (SDR)", "here (SI-SDRi, seen)"), rows)]
    return "\n".join(parts)


def _is_gap(scores: Scores, lowest: str, seen: Chosen) -> bool:
    return difference_of(scores["text"].si_sdri_db["text"], scores[lowest].si_sdri_db["text"], seen).low > 0.0


def _closing(curve: Sequence[tuple[str, Estimate, Estimate, Estimate]], is_gap: bool) -> str:
    heads = ("", "seen: SI-SDRi, dB", "unseen: SI-SDRi, dB", "gap closed, seen")
    rows = [
        (what, str(known), str(unknown), _percent(closed) if is_gap else "no gap to close")
        for what, known, unknown, closed in curve
    ]
    return _table(heads, rows)


def _percent(share: Estimate, *, added: bool = False) -> str:
    """A share, or with `added` what it is more than the whole."""
    value, low, high = (number - added for number in (share.value, share.low, share.high))
    return f"{value:+.0%} [{low:+.0%}, {high:+.0%}]" if added else f"{value:.0%} [{low:.0%}, {high:.0%}]"


def _claims(scores: Scores, seen: Chosen) -> str:
    rows = [
        (
            answer.claim.letter,
            answer.claim.text,
            answer.claim.paper,
            f"{answer.claim.better} against {answer.claim.worse}",
            str(answer.seen),
            "" if answer.unseen is None else str(answer.unseen),
            answer.verdict,
        )
        for answer in answers(scores, seen)
    ]
    heads = ("", "claim", "paper", "arms", "difference, seen, dB", "difference, unseen, dB", "verdict")
    return _table(heads, rows)


def _arms(scores: Scores, seen: Chosen) -> str:
    rows = []
    for arm in ARMS:
        if arm.name in scores:
            both = scores[arm.name]
            for way, values in both.si_sdri_db.items():
                unseen = ~seen & np.isfinite(values)
                rows.append(
                    (
                        arm.name,
                        arm.recipe,
                        way,
                        str(mean_of(values, seen)),
                        str(mean_of(values, unseen)) if unseen.any() else "",
                        str(mean_of(both.sdri_db[way], seen)),
                    )
                )
    heads = ("arm", "recipe", "asked by", "seen: SI-SDRi, dB", "unseen: SI-SDRi, dB", "seen: SDRi (SNR), dB")
    return _table(heads, rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
