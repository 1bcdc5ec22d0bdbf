"""Settings: what changes the output is in the signature, and the nearest threshold counts."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from model.checkpoint import Calibration
from operators.catalog import Catalog, QuerySpec
from operators.settings import ExtractSettings

CATALOG = Catalog(
    name="two", queries=(QuerySpec(id="dog", text="a dog"), QuerySpec(id="bell", text="a bell", threshold=0.9))
)
CALIBRATION = Calibration(presence_threshold=0.3, event_threshold=0.4)


def test_the_querys_own_threshold_comes_first_then_the_runs_then_the_models() -> None:
    assert ExtractSettings().gate_thresholds(CATALOG, CALIBRATION) == [0.3, 0.9]
    assert ExtractSettings().event_thresholds(CATALOG, CALIBRATION) == [0.4, 0.9]
    own = ExtractSettings(threshold=0.7)
    assert own.gate_thresholds(CATALOG, CALIBRATION) == own.event_thresholds(CATALOG, CALIBRATION) == [0.7, 0.9]


def test_a_threshold_of_zero_is_a_threshold() -> None:
    catalog = Catalog(name="one", queries=(QuerySpec(id="dog", text="a dog", threshold=0.0),))
    assert ExtractSettings(threshold=0.7).gate_thresholds(catalog, CALIBRATION) == [0.0]
    assert ExtractSettings(threshold=0.0).gate_thresholds(CATALOG, CALIBRATION) == [0.0, 0.9]


def test_the_hash_follows_what_changes_the_output_and_nothing_else() -> None:
    default = ExtractSettings()
    assert default.content_hash == ExtractSettings(gate=True).content_hash
    assert default.content_hash == ExtractSettings(model="/weights/mini.safetensors").content_hash  # has a signature
    others = [ExtractSettings(gate=False), ExtractSettings(threshold=0.5), ExtractSettings(threshold=0.0)]
    assert len({settings.content_hash for settings in [default, *others]}) == 4
    assert default.signature() == {"gate": True, "threshold": None}


@pytest.mark.parametrize("bad", [{"threshold": 1.1}, {"threshold": -0.1}, {"treshold": 0.5}, {"gate": "perhaps"}])
def test_what_is_no_setting_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        ExtractSettings(**bad)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ExtractSettings().gate = False  # type: ignore[misc]
