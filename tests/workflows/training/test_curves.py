"""The curve as files that others open: rows, a picture, TensorBoard events."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image
from tensorboardX.proto.event_pb2 import Event

from workflows.training.curves import picture, write_curves

ROWS = [
    {"step": 10, "seconds_per_step": 0.5, "loss": 2.0},
    {"step": 20, "seconds_per_step": 0.4, "loss": 1.5, "validation_score": 3.25},
]


def events_in(folder: Path) -> dict[tuple[str, int], float]:
    """Scalars by name and step, read record by record: length, its checksum, an event, its checksum."""
    (file,) = folder.iterdir()
    data, scalars = file.read_bytes(), dict[tuple[str, int], float]()
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + length])
        scalars |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
        data = data[16 + length :]
    return scalars


def test_rows_are_lines_of_json(tmp_path: Path) -> None:
    write_curves(ROWS, str(tmp_path))
    assert [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()] == ROWS


def test_the_picture_is_a_png_with_something_drawn_on_it(tmp_path: Path) -> None:
    write_curves(ROWS, str(tmp_path))
    content = (tmp_path / "curves.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    pixels = image.imread(io.BytesIO(content), format="png")
    height, width, _ = pixels.shape
    assert width == 1200
    assert height >= 200
    assert 0.5 < float(np.mean(pixels[..., :3])) < 0.999


@pytest.mark.parametrize(("terms", "height"), [(1, 240), (3, 240), (4, 480), (7, 720)])
def test_every_term_has_a_panel_in_rows_of_three(terms: int, height: int) -> None:
    rows = [{"step": step, **{f"term_{n}": float(step + n) for n in range(terms)}} for step in (1, 2)]
    assert image.imread(io.BytesIO(picture(rows)), format="png").shape[:2] == (height, 1200)


def test_every_scalar_is_an_event_of_its_step(tmp_path: Path) -> None:
    write_curves(ROWS, str(tmp_path))
    found = events_in(tmp_path / "tensorboard")
    assert found == pytest.approx(
        {(name, row["step"]): value for row in ROWS for name, value in row.items() if name != "step"}
    )


def test_a_run_that_went_on_replaces_its_files(tmp_path: Path) -> None:
    write_curves(ROWS[:1], str(tmp_path))
    write_curves(ROWS, str(tmp_path))
    assert len((tmp_path / "curve.jsonl").read_text().splitlines()) == 2
    assert len(events_in(tmp_path / "tensorboard")) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curve.jsonl", "curves.png", "tensorboard"]


def test_a_run_without_rows_has_an_empty_curve_and_no_picture(tmp_path: Path) -> None:
    write_curves([], str(tmp_path))
    assert (tmp_path / "curve.jsonl").read_text() == ""
    assert [path.name for path in tmp_path.iterdir()] == ["curve.jsonl"]
