"""The caption cache: the towers' vectors, kept with what they belong to, there whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from small_model import EMBEDDING, save_small, small_clap

from model.caption_cache import CaptionCache, CaptionCacheError, cache_header, key_of
from model.clap import Clap
from model.towers_signature import towers_signature

ROOT = Path(__file__).parents[2]
CAPTIONS = [f"a {thing} {does}" for thing in ("dog", "bell", "car") for does in ("rings", "falls over", "goes by")]


@pytest.fixture(scope="module")
def clap() -> Clap:
    return small_clap()


def test_vectors_are_those_of_the_text_tower_within_half_precision(clap: Clap) -> None:
    cache = CaptionCache.embed(CAPTIONS, clap)
    assert cache.captions == tuple(CAPTIONS)
    assert cache.vectors.shape == (9, EMBEDDING)
    assert cache.vectors.dtype == torch.float32
    assert torch.allclose(cache.vectors, clap.embed_text(CAPTIONS), atol=1e-3)
    assert torch.allclose(cache.vectors.norm(dim=1), torch.ones(9), atol=1e-3)


def test_many_captions_of_all_lengths_keep_their_own_vectors_and_tell_how_far_they_are(clap: Clap) -> None:
    many = [f"{'very ' * (n % 7)}loud sound {n}" for n in range(150)]
    heard: list[int] = []
    cache = CaptionCache.embed(many, clap, on_done=heard.append)
    assert torch.allclose(cache.vectors, clap.embed_text(many), atol=1e-3)
    assert heard == [64, 128, 150]


def test_repeated_and_empty_captions_are_dropped(clap: Clap) -> None:
    cache = CaptionCache.embed(["a dog", "a bell", "", "a  dog ", "A dog", "a\nbell"], clap)
    assert cache.captions == ("a dog", "a bell", "A dog")


def test_a_template_is_put_around_every_caption(clap: Clap) -> None:
    cache = CaptionCache.embed(["a dog", "rain"], clap, "the sound of {}")
    assert torch.allclose(cache.vectors, clap.embed_text(["the sound of a dog", "the sound of rain"]), atol=1e-3)
    assert cache.captions == ("a dog", "rain")


def test_an_opened_cache_is_the_one_that_was_saved_and_is_half_as_large_as_its_vectors(
    clap: Clap, tmp_path: Path
) -> None:
    many = [f"sound {n}" for n in range(2000)]
    cache = CaptionCache.embed(many, clap, "the sound of {}")
    path = tmp_path / "deep" / "captions.safetensors"
    cache.save(path)
    again = CaptionCache.open(path, clap, "the sound of {}")
    assert again.captions == cache.captions
    assert torch.equal(again.vectors, cache.vectors)
    assert again.key == cache.key == cache_header(path)["key"]
    assert path.stat().st_size < 2000 * (2 * EMBEDDING + len("sound 1999\n")) + 2000
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "deep").stat().st_mode) & 0o666
    assert os.listdir(path.parent) == [path.name]


def test_the_same_captions_give_the_same_bytes(clap: Clap, tmp_path: Path) -> None:
    for name in ("one", "other"):
        CaptionCache.embed(CAPTIONS, clap).save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_the_key_tells_captions_towers_and_template_apart(clap: Clap) -> None:
    signature = towers_signature(clap)
    keys = {
        key_of(CAPTIONS, signature, "{}"),
        key_of(CAPTIONS[1:], signature, "{}"),
        key_of(CAPTIONS[::-1], signature, "{}"),
        key_of(CAPTIONS, "Clap-other", "{}"),
        key_of(CAPTIONS, signature, "the sound of {}"),
    }
    assert len(keys) == 5
    assert CaptionCache.embed(CAPTIONS, clap).key in keys


def test_a_cache_of_other_towers_or_of_another_template_is_refused_with_words(clap: Clap, tmp_path: Path) -> None:
    path = tmp_path / "captions.safetensors"
    CaptionCache.embed(CAPTIONS, clap, "the sound of {}").save(path)
    with pytest.raises(CaptionCacheError, match=r"'the sound of \{\}', and '\{\}' is asked for"):
        CaptionCache.open(path, clap)
    with pytest.raises(CaptionCacheError, match=r"made by the towers Clap-\w+, and these are Clap-\w+"):
        CaptionCache.open(path, small_clap(seed=1), "the sound of {}")


def test_what_is_no_cache_is_refused_with_words(clap: Clap, tmp_path: Path) -> None:
    path = tmp_path / "captions.safetensors"
    with pytest.raises(FileNotFoundError, match=r"no caption cache at .*make it with `soundquarry captions cache`"):
        CaptionCache.open(path, clap)
    CaptionCache.embed(CAPTIONS, clap).save(path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(CaptionCacheError, match="is no caption cache, or not a whole one"):
        CaptionCache.open(path, clap)
    save_file({"vectors": torch.ones(3)}, path)
    with pytest.raises(CaptionCacheError, match="is no caption cache"):
        CaptionCache.open(path, clap)
    with pytest.raises(CaptionCacheError, match="is not a caption cache"):
        CaptionCache.open(save_small(tmp_path / "model.safetensors"), clap)


def test_a_cache_whose_captions_were_changed_is_refused(clap: Clap, tmp_path: Path) -> None:
    path = tmp_path / "captions.safetensors"
    CaptionCache.embed(CAPTIONS, clap).save(path)
    path.write_bytes(path.read_bytes().replace(b"a bell rings", b"a bull rings"))
    with pytest.raises(CaptionCacheError, match="does not hold what it says"):
        CaptionCache.open(path, clap)


def changed(path: Path, **told: object) -> None:
    """Write a cache anew with another header, or (as `captions`) other bytes; None leaves an entry out."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        header = json.loads(file.metadata()["soundquarry"])
    for name, value in told.items():
        if isinstance(value, torch.Tensor):
            tensors[name] = value
        elif value is None:
            del header[name]
        else:
            header[name] = value
    save_file(tensors, path, metadata={"soundquarry": json.dumps(header)})


def test_a_cache_whose_vectors_were_changed_is_refused(clap: Clap, tmp_path: Path) -> None:
    path = tmp_path / "captions.safetensors"
    cache = CaptionCache.embed(CAPTIONS, clap)
    cache.save(path)
    changed(path, vectors=cache.vectors.half().flip(0))
    with pytest.raises(CaptionCacheError, match="does not hold what it says"):
        CaptionCache.open(path, clap)


@pytest.mark.parametrize("name", ["key", "vectors", "towers", "template", "count"])
def test_a_cache_that_does_not_say_what_it_is_is_refused(clap: Clap, tmp_path: Path, name: str) -> None:
    path = tmp_path / "captions.safetensors"
    CaptionCache.embed(CAPTIONS, clap).save(path)
    changed(path, **{name: None})
    with pytest.raises(CaptionCacheError, match=f"does not say its {name}: of another version; make it anew"):
        CaptionCache.open(path, clap)


def test_captions_that_are_no_text_are_refused(clap: Clap, tmp_path: Path) -> None:
    path = tmp_path / "captions.safetensors"
    CaptionCache.embed(CAPTIONS, clap).save(path)
    changed(path, captions=torch.full((9,), 255, dtype=torch.uint8))
    with pytest.raises(CaptionCacheError, match="holds captions that are no text"):
        CaptionCache.open(path, clap)


@pytest.mark.parametrize("template", ["the sound", "{} and {}", ""])
def test_a_template_takes_the_caption_at_one_place(clap: Clap, template: str) -> None:
    with pytest.raises(CaptionCacheError, match="it takes the caption at one"):
        CaptionCache.embed(CAPTIONS, clap, template)


def test_there_is_no_cache_of_nothing(clap: Clap) -> None:
    with pytest.raises(CaptionCacheError, match="no caption to embed"):
        CaptionCache.embed(["", " "], clap)


def test_a_failed_save_leaves_the_cache_that_was_there(
    clap: Clap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "captions.safetensors"
    cache = CaptionCache.embed(CAPTIONS, clap)
    cache.save(path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        dataclasses.replace(cache, template="the sound of {}").save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_a_process_that_is_killed_while_it_writes_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    path = tmp_path / "captions.safetensors"
    code = f"""
        import os, signal, torch
        from pathlib import Path
        from model.caption_cache import CaptionCache
        os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        CaptionCache(("a dog", "a bell"), torch.eye(2), "Clap-0").save(Path({str(path)!r}))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()
    CaptionCache(("a dog", "a bell"), torch.eye(2), "Clap-0").save(path)  # what was left is in nobody's way
    assert cache_header(path)["count"] == 2
