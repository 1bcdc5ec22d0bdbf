"""From a catalog to conditions: texts and exemplars of any rate and format, and a reason for those that cannot be
used."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import fsspec
import numpy as np
import pytest
import soundfile
import torch
from no_credentials import without_credentials
from small_model import EMBEDDING, RATE, lively, small_model

from operators.catalog import Catalog, CatalogError, QuerySpec
from operators.query_conditions import EXEMPLAR_SECONDS, ExemplarError, read_exemplar, understand

MODEL = small_model()


def exemplar(path: Path, sound: np.ndarray, rate: int = RATE, **options: str) -> str:
    """`sound` [C, T] as a file."""
    soundfile.write(path, sound.T, rate, **options)
    return str(path)


def positive(*audio: str) -> torch.Tensor:
    """What the model understands of a query made of these exemplars."""
    catalog = Catalog(name="c", queries=(QuerySpec(id="bark", audio=audio),))
    return understand(catalog, MODEL).positive[0]


def test_every_query_has_its_row(tmp_path: Path) -> None:
    sound = exemplar(tmp_path / "bark.wav", lively(2.0))
    queries = (
        QuerySpec(id="a", text="a dog"),
        QuerySpec(id="b", text=["a dog", "a hound"], negative="rain"),
        QuerySpec(id="c", audio=sound, negative_audio=sound),
        QuerySpec(id="d", text="a dog", audio=sound),
    )
    understood = understand(Catalog(name="c", queries=queries), MODEL)
    assert understood.condition.embedding.shape == (4, 2 * EMBEDDING)
    assert torch.allclose(understood.condition.embedding.norm(dim=1), torch.ones(4), atol=1e-6)
    assert torch.allclose(understood.positive.norm(dim=1), torch.ones(4), atol=1e-6)
    for row, query in enumerate(queries):
        alone = understand(Catalog(name="c", queries=(query,)), MODEL)
        assert torch.allclose(alone.condition.embedding[0], understood.condition.embedding[row], atol=1e-5)


def test_an_exemplar_is_embedded_as_it_is(tmp_path: Path) -> None:
    sound = lively(3.0)
    expected = MODEL.clap.embed_audio(torch.from_numpy(sound))[0]
    heard = positive(exemplar(tmp_path / "a.wav", sound, subtype="FLOAT"))
    assert torch.allclose(heard, expected, atol=1e-5)


def test_wav_flac_and_stereo_of_one_sound_are_understood_alike(tmp_path: Path) -> None:
    sound = lively(2.0)
    wav = positive(exemplar(tmp_path / "a.wav", sound, subtype="PCM_24"))
    flac = positive(exemplar(tmp_path / "a.flac", sound, subtype="PCM_24"))
    stereo = positive(exemplar(tmp_path / "b.wav", np.repeat(sound, 2, axis=0), subtype="PCM_24"))
    assert torch.allclose(wav, flac, atol=1e-6)
    assert torch.allclose(wav, stereo, atol=1e-6)


def test_another_sample_rate_is_resampled(tmp_path: Path) -> None:
    seconds = np.arange(3 * 16_000) / 16_000
    tone = 0.3 * np.sin(2 * np.pi * 440 * seconds)[None]
    own = positive(exemplar(tmp_path / "own.wav", tone[:, ::4]))
    assert float(own @ positive(exemplar(tmp_path / "other.wav", tone, rate=16_000))) > 0.99


def test_only_the_first_seconds_count_and_short_ones_are_followed_by_silence(tmp_path: Path) -> None:
    sound = lively(EXEMPLAR_SECONDS + 5)
    long = positive(exemplar(tmp_path / "long.wav", sound))
    assert torch.equal(long, positive(exemplar(tmp_path / "cut.wav", sound[:, : int(EXEMPLAR_SECONDS * RATE)])))
    click = positive(exemplar(tmp_path / "click.wav", sound[:, :100]))
    padded = np.pad(sound[:, :100], ((0, 0), (0, RATE - 100)))
    assert torch.equal(click, positive(exemplar(tmp_path / "padded.wav", padded)))


def test_an_exemplar_may_lie_anywhere_that_fsspec_reaches(tmp_path: Path) -> None:
    local = exemplar(tmp_path / "a.wav", lively(2.0))
    with fsspec.open("memory://exemplars/a.wav", "wb") as file:
        file.write(Path(local).read_bytes())
    assert torch.equal(positive("memory://exemplars/a.wav"), positive(local))


def test_an_exemplar_can_be_read_without_a_catalog(tmp_path: Path) -> None:
    sound = lively(2.0)
    assert read_exemplar(exemplar(tmp_path / "a.wav", sound, subtype="FLOAT"), RATE).tolist() == sound[0].tolist()
    with pytest.raises(ExemplarError, match=r"^the exemplar 'gone\.wav' cannot be read"):
        read_exemplar(str(tmp_path / "gone.wav"), RATE)


@pytest.mark.parametrize("seconds", [0.0, 3.0])
def test_a_silent_exemplar_is_refused(tmp_path: Path, seconds: float) -> None:
    path = exemplar(tmp_path / "hush.wav", np.zeros((1, round(seconds * RATE))))
    with pytest.raises(CatalogError, match=r"query 'bark': the exemplar 'hush.wav' is silent .*give a recording"):
        positive(path)


def test_an_exemplar_that_begins_after_the_seconds_that_are_read_is_told_so(tmp_path: Path) -> None:
    late = np.concatenate([np.zeros((1, int(EXEMPLAR_SECONDS * RATE))), lively(2.0)], axis=1)
    with pytest.raises(CatalogError, match=r"silent \(mixed to mono, in its first 10 s\)"):
        positive(exemplar(tmp_path / "late.wav", late))


def test_an_exemplar_with_nan_is_refused(tmp_path: Path) -> None:
    sound = lively(1.0)
    sound[0, 5] = np.nan
    with pytest.raises(CatalogError, match=r"'broken.wav' has samples that are NaN or infinite"):
        positive(exemplar(tmp_path / "broken.wav", sound, subtype="FLOAT"))


@pytest.mark.parametrize("content", [b"", b"no sound at all", b"RIFF\x00\x00\x00\x00WAVEfmt "])
def test_what_is_no_sound_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.wav"
    path.write_bytes(content)
    with pytest.raises(CatalogError, match=r"query 'bark': the exemplar 'text.wav' cannot be read .*give WAV, FLAC"):
        positive(str(path))


def test_a_missing_exemplar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"'gone.wav' cannot be read"):
        positive(str(tmp_path / "gone.wav"))


def test_of_a_long_recording_no_more_is_read_than_is_heard(tmp_path: Path) -> None:
    sound = np.concatenate([lively(EXEMPLAR_SECONDS), np.zeros((1, 7200 * RATE), np.float32)], axis=1)
    path = exemplar(tmp_path / "long.wav", sound, subtype="PCM_16")
    tracemalloc.start()
    heard = read_exemplar(path, RATE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(heard) == EXEMPLAR_SECONDS * RATE
    assert peak < sound.nbytes / 20


def test_an_address_that_no_store_knows_is_a_sentence() -> None:
    with pytest.raises(ExemplarError, match=r"'unheardof://x' cannot be read .*Protocol not known.*check the address"):
        read_exemplar("unheardof://x", RATE)


def test_a_bucket_without_credentials_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_credentials(tmp_path, monkeypatch)
    with pytest.raises(ExemplarError, match=r"'s3://b/x\.wav' cannot be read .*NoCredentialsError.*credentials"):
        read_exemplar("s3://b/x.wav", RATE)
