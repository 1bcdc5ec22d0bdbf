"""Names of the published files follow from ours."""

from __future__ import annotations

import pytest
from published_pair import BLOCK, CLAP, SEPARATOR, made_pair

from model.published_layout import checkpoint_layout, clap_layout, is_unused, of_clap, shapes_of


def test_the_layout_of_a_checkpoint_is_the_published_one(tmp_path) -> None:  # type: ignore[no-untyped-def]
    layout = checkpoint_layout(SEPARATOR, 2)
    trained = shapes_of(made_pair(tmp_path).trained)
    copies = {name for name in trained if name.startswith("clap_model.")}
    assert {**layout.required, **layout.constants} == {n: s for n, s in trained.items() if n not in copies}
    assert layout.constants == {
        f"decoder_model.{BLOCK}.relative_position_index": (4, 4),
        "decoder_model.spec_norm.num_batches_tracked": (),
    }
    assert {of_clap(name) for name in copies} <= CLAP.keys()


def test_the_clap_file_holds_the_towers_and_what_the_encoder_begins_as() -> None:
    without_audio = {name: shape for name, shape in CLAP.items() if "audio_branch" not in name}
    assert clap_layout(SEPARATOR, without_audio) == CLAP
    assert not any(is_unused(name) for name in CLAP)


def test_a_separator_of_other_parts_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"head\.weight"):
        checkpoint_layout({"head.weight": (1,)}, 16)
