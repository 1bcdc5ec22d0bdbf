"""Settings: what changes the output is in the signature, and the nearest threshold counts."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from model.checkpoint import Calibration
from operators import unit_verification
from operators.catalog import Catalog, QuerySpec
from operators.settings import ExtractSettings, MineSettings

CATALOG = Catalog(
    name="two", queries=(QuerySpec(id="dog", text="a dog"), QuerySpec(id="bell", text="a bell", threshold=0.9))
)
CALIBRATION = Calibration(presence_threshold=0.3, event_threshold=0.4)


def test_the_querys_own_threshold_comes_first_then_the_runs_then_the_models() -> None:
    assert ExtractSettings().gate_thresholds(CATALOG, CALIBRATION) == [0.3, 0.9]
    assert ExtractSettings().event_thresholds(CATALOG, CALIBRATION) == [0.4, 0.9]
    own = ExtractSettings(threshold=0.7)
    assert own.gate_thresholds(CATALOG, CALIBRATION) == own.event_thresholds(CATALOG, CALIBRATION) == [0.7, 0.9]


def test_the_gate_may_have_a_threshold_of_its_own() -> None:
    settings = ExtractSettings(threshold=0.7, gate_threshold=0.2)
    assert settings.gate_thresholds(CATALOG, CALIBRATION) == [0.2, 0.9]
    assert settings.event_thresholds(CATALOG, CALIBRATION) == [0.7, 0.9]
    assert "gate_threshold" not in ExtractSettings().signature()  # datasets made before there was one go on


def test_a_threshold_of_zero_is_a_threshold() -> None:
    catalog = Catalog(name="one", queries=(QuerySpec(id="dog", text="a dog", threshold=0.0),))
    assert ExtractSettings(threshold=0.7).gate_thresholds(catalog, CALIBRATION) == [0.0]
    assert ExtractSettings(threshold=0.0).gate_thresholds(CATALOG, CALIBRATION) == [0.0, 0.9]


def test_the_hash_follows_what_changes_the_output_and_nothing_else() -> None:
    default = ExtractSettings()
    assert default.content_hash == ExtractSettings(gate=True).content_hash
    assert default.content_hash == ExtractSettings(model="/weights/mini.safetensors").content_hash  # has a signature
    changed = [
        {"gate": False}, {"threshold": 0.5}, {"threshold": 0.0}, {"rate": "source"}, {"channels": "mono"},
        {"residual": True}, {"exclusive": True}, {"gate_threshold": 0.0},
    ]  # fmt: skip
    others = [ExtractSettings(**values) for values in changed]  # type: ignore[arg-type]
    assert len({settings.content_hash for settings in [default, *others]}) == 9
    assert default.content_hash == ExtractSettings(precision="float32").content_hash
    assert "model" not in default.signature()


def test_a_library_looks_as_far_as_its_longest_event_and_its_padding() -> None:
    settings = MineSettings(max_event_seconds=20, padding_seconds=1.5, min_seconds=0.5)
    assert settings.look_seconds >= 20 + 2 * 0.5 + 1.5 + 0.4
    assert MineSettings().look_seconds == 33


def test_the_longest_event_with_its_padding_fits_into_a_row() -> None:
    limits = {name: field.metadata for name, field in MineSettings.model_fields.items()}
    most = {name: next(rule.le for rule in rules if hasattr(rule, "le")) for name, rules in limits.items() if rules}
    seconds = most["max_event_seconds"] + 2 * most["min_seconds"] + 2 * most["padding_seconds"]
    assert seconds <= unit_verification.STRETCH_SECONDS


def test_a_library_is_another_kind_with_settings_of_its_own() -> None:
    settings = MineSettings(max_event_seconds=20)
    assert (settings.kind, ExtractSettings().kind) == ("mine", "extract")
    assert settings.signature()["max_event_seconds"] == 20


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"min_seconds": 5.0, "max_event_seconds": 5}, "must be shorter than the longest"),
        ({"residual": True}, "use extract"),
        ({"padding_seconds": 5.1}, "padding_seconds"),
        ({"max_event_seconds": 41}, "max_event_seconds"),
    ],
)
def test_what_no_library_can_be_made_with_is_refused(bad: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        MineSettings(**bad)


def test_a_threshold_for_a_gate_that_is_off_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"--gate-threshold is 0\.4, but --no-gate separates everything"):
        ExtractSettings(gate=False, gate_threshold=0.4)
    assert ExtractSettings(gate=False, threshold=0.4).event_thresholds(CATALOG, CALIBRATION) == [0.4, 0.9]


@pytest.mark.parametrize("bad", [{"threshold": 1.1}, {"threshold": -0.1}, {"treshold": 0.5}, {"gate": "perhaps"}])
def test_what_is_no_setting_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        ExtractSettings(**bad)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ExtractSettings().gate = False  # type: ignore[misc]
