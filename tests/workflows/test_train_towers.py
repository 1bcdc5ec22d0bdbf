"""The script that trains the small towers: a file whose towers `train` can ask with, and the same again from there."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from model.registry import load_model
from workflows import train_towers

pytestmark = pytest.mark.slow


def test_towers_are_trained_written_and_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    (data / "manifests").mkdir(parents=True)
    lines = ["path,label,caption"]
    for hertz in (220, 440, 880):
        tone = 0.3 * np.sin(2 * np.pi * hertz * np.arange(64_000) / 32_000)
        soundfile.write(data / f"{hertz}.wav", tone, 32_000)
        lines.append(f"{hertz}.wav,tone_{hertz},a tone of {hertz} hertz")
    (data / "manifests" / "train.csv").write_text("\n".join(lines))
    asked = ["--data", str(data), "--work", str(tmp_path / "work"), "--steps", "2", "--batch", "4"]
    monkeypatch.setattr(sys, "argv", ["train_towers", *asked])
    train_towers.main()
    assert '"step": 2' in capsys.readouterr().out
    first = load_model(str(tmp_path / "work" / "towers.safetensors"))
    assert first.provenance["towers"]["steps"] == 2
    train_towers.main()
    assert '"step"' not in capsys.readouterr().out
    assert load_model(str(tmp_path / "work" / "towers.safetensors")).signature == first.signature
    (data / "manifests" / "train.csv").write_text("\n".join(lines[:-1]))
    with pytest.raises(SystemExit, match="holds a run whose clips was 3, now it is 2; give another --work"):
        train_towers.main()
