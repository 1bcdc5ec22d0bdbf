from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
import soundfile

from workflows.reports.examples import CLIP_SECONDS, _clip_start, _sound, best, score


def row(uri: str, presence: float, ratio: float | None = 0.0, **fields: Any) -> dict[str, Any]:
    return {"source_uri": uri, "track": 0, "presence": presence, "energy_ratio_db": ratio} | fields


def test_faint_stems_are_worse_examples() -> None:
    assert score(row("/a", 0.9)) == pytest.approx(0.9)
    assert score(row("/a", 0.9, -15.0)) == pytest.approx(0.65)
    assert score(row("/a", 0.9, -100.0)) == pytest.approx(0.4)
    assert score(row("/a", 0.9, None)) == pytest.approx(0.9)


def test_different_tracks_come_before_a_second_stem_of_one() -> None:
    rows = [row("/a", 0.99), row("/a", 0.98), row("/a", 0.97), row("/b", 0.7), row("/c", 0.6), row("/d", 0.5)]
    assert [item["source_uri"] for item in best(rows)] == ["/a", "/b", "/c"]
    assert [item["presence"] for item in best(rows[:4])] == [0.99, 0.98, 0.7]


def test_the_clip_begins_just_before_the_surest_event_or_where_it_is_loudest() -> None:
    rate = 100
    stem = np.zeros(60 * rate, np.float32)
    stem[30 * rate : 40 * rate] = 1.0
    events = [
        {"start_seconds": 125.0, "end_seconds": 126.0, "presence": 0.6},
        {"start_seconds": 140.0, "end_seconds": 141.0, "presence": 0.8},
    ]
    known = {"sample_rate": rate, "start_seconds": 120.0}
    assert _clip_start(known | {"events": events}, stem) == 19 * rate
    assert _clip_start(known | {"events": []}, stem) == 30 * rate
    late = [{"start_seconds": 179.0, "end_seconds": 180.0, "presence": 0.8}]
    assert _clip_start(known | {"events": late}, stem) == 50 * rate
    assert _clip_start(known | {"events": late}, stem[: int(CLIP_SECONDS) * rate]) == 0


@pytest.mark.parametrize("rate", [4000, 11_025, 44_100, 96_000])
def test_stems_of_every_rate_have_a_picture_and_a_player(rate: int) -> None:
    sound = _sound(np.sin(np.arange(rate) * 0.05).astype(np.float32), rate, 1.0, 1.0)
    mp3 = base64.b64decode(sound.player.partition(",")[2])
    samples, played_rate = soundfile.read(io.BytesIO(mp3))
    assert len(samples) / played_rate == pytest.approx(1.0, abs=0.1)
    assert sound.picture.startswith("data:image/png")
