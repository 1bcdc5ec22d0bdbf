from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from operators.excerpt import MixtureReader
from operators.failure import SourceFailure
from operators.sources import list_sources


def test_an_excerpt_is_the_stretch_that_was_asked_for(tmp_path: Path) -> None:
    ramp = np.linspace(-0.9, 0.9, 20 * 32000, dtype=np.float32)
    soundfile.write(tmp_path / "a.wav", np.stack([ramp, -ramp], axis=1), 32000, subtype="FLOAT")
    (source,) = list_sources([str(tmp_path / "a.wav")])
    read_mixture = MixtureReader()
    assert read_mixture(source.uri, source.version, 0, 12.0, 13.0, 32000).shape == (2, 32000)
    samples = read_mixture(source.uri, source.version, 0, 5.0, 7.5, 32000)  # backwards, after another
    assert samples.shape == (2, 80000)
    assert np.abs(samples[0] - ramp[5 * 32000 : 7 * 32000 + 16000]).max() < 1e-5
    assert np.abs(samples[0] + samples[1]).max() < 1e-5


def test_a_source_that_is_gone_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceFailure, match="gone"):
        MixtureReader()(str(tmp_path / "gone.wav"), "v", 0, 0.0, 1.0, 32000)
