"""Calibration on a development list: what is written is calibrated already, and what cannot be used is told."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_model import RATE, save_small
from tone_library import HERTZ

from model.registry import load_model
from workflows import calibrate
from workflows.calibrate import best_f1, rounded_down


@pytest.fixture(scope="module")
def development(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of all pairs of four tones, each of half a second within a whole one."""
    root = tmp_path_factory.mktemp("development")
    rows = ["target_path,noise_path,snr_db,caption,negative_caption,target_label,noise_label"]
    for number, (label, hertz) in enumerate(HERTZ.items()):
        time = np.arange(RATE) / RATE
        within = (time > 0.1 * number) & (time < 0.1 * number + 0.5)
        soundfile.write(root / f"{label}.wav", 0.3 * within * np.sin(2 * np.pi * hertz * time), RATE)
        rows += [f"{label}.wav,{other}.wav,0,{label},{other},{label},{other}" for other in HERTZ if other != label]
    (root / "list.csv").write_text("\n".join(rows))
    return root


def calibrated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], root: Path, model: Path, *options: str
) -> str:
    asked = ["calibrate", str(root / "list.csv"), "--root", str(root), "--model", str(model), *options]
    monkeypatch.setattr(sys, "argv", asked)
    calibrate.main()
    return capsys.readouterr().out


def thresholds_in(told: str) -> list[float]:
    return [float(line.split(":")[0].split()[-1]) for line in told.splitlines() if "threshold" in line]


def test_what_was_calibrated_needs_no_other_line(
    development: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save_small(tmp_path / "small.safetensors")
    monkeypatch.setattr(calibrate, "fit_platt", lambda odds, truth: calibrate.Platt(0.5, -1.0))  # tones tell little
    first = calibrated(monkeypatch, capsys, development, path, "--plot", str(tmp_path / "plot.png"), "--write")
    assert "12 mixtures, 24 true and 24 false pairs" in first
    assert "line  0.500 * log odds -1.000" in first
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    told = load_model(str(path))
    assert told.provenance["calibrated_on"]["mixtures"] == 12
    assert f"gate  threshold {told.calibration.presence_threshold}: keeps" in first
    assert f"event threshold {told.calibration.event_threshold}: F1" in first
    monkeypatch.setattr(calibrate, "fit_platt", lambda odds, truth: calibrate.Platt(1.0, 0.0))
    second = calibrated(monkeypatch, capsys, development, path)
    assert thresholds_in(second) == pytest.approx(thresholds_in(first), rel=0.02)  # kept in half precision


def test_what_cannot_be_calibrated_is_told_in_a_sentence(
    development: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save_small(tmp_path / "small.safetensors")
    (tmp_path / "labels.txt").write_text("\n".join(HERTZ))
    with pytest.raises(SystemExit, match="two mixtures at least are needed, and 0 of 12 have no unseen label"):
        calibrated(monkeypatch, capsys, development, path, "--unseen", str(tmp_path / "labels.txt"))
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(SystemExit, match=r"broken\.safetensors cannot be calibrated on"):
        calibrated(monkeypatch, capsys, development, tmp_path / "broken.safetensors")
    with pytest.raises(
        SystemExit, match=r"cannot be calibrated on .*: no model .*gone': .*give one of them, or the path"
    ):
        calibrated(monkeypatch, capsys, development, tmp_path / "gone")


def test_the_best_f1_is_at_the_threshold_that_parts_best() -> None:
    threshold, f1 = best_f1(np.array([0.9, 0.2, 0.7, 0.4]), np.array([True, False, True, False]))
    assert (threshold, f1) == (0.7, 1.0)
    threshold, f1 = best_f1(np.array([0.9, 0.2, 0.7, 0.4]), np.array([True, True, False, False]))
    assert (threshold, f1) == (0.2, pytest.approx(2 / 3)) or (threshold, f1) == (0.9, pytest.approx(2 / 3))


@pytest.mark.parametrize(
    ("probability", "rounded"), [(0.5, 0.5), (0.0012399, 0.00123), (0.9999, 0.999), (0.0, 0.0), (1.0, 1.0)]
)
def test_thresholds_keep_three_digits_and_are_never_rounded_up(probability: float, rounded: float) -> None:
    assert rounded_down(probability) == pytest.approx(rounded, rel=1e-9)
    assert rounded_down(probability) <= probability
