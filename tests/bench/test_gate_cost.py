"""The default of the gate is that of the dataset's own model."""

from __future__ import annotations

import json
from pathlib import Path

from bench.gate_cost import default_threshold
from model.registry import load_model, model_signature


def test_the_threshold_of_a_datasets_model_is_found_by_its_signature(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"model": model_signature("mini")}))
    assert default_threshold(tmp_path) == load_model("mini").calibration.presence_threshold
    for other in ("mini-0123456789abcdef", "gone-0123456789abcdef"):
        (tmp_path / "dataset.json").write_text(json.dumps({"model": other}))
        assert default_threshold(tmp_path) is None
