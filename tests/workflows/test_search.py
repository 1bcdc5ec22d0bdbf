from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fabricated_dataset import Event, Member, commit_events, commit_unit, sign
from no_credentials import without_credentials
from rich.console import Console
from typer.testing import CliRunner

from model.registry import load_model
from operators.dataset import create_or_check_signature
from operators.derived import rebuild_derived
from operators.search import Hit, NothingToSearchError, SearchError
from workflows.cli import app
from workflows.search import SearchJob, clock_span, model_of, print_hits, search

MINI = load_model("mini")
SOUNDS = {"dog": "a dog barking", "rain": "rain falling", "waves": "sea waves breaking on the shore"}


def noise(path: Path, seconds: float = 2.0, level: float = 0.2) -> str:
    random = np.random.default_rng(0)
    soundfile.write(path, level * random.standard_normal(round(seconds * 32_000)), 32_000)
    return str(path)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Events that sound like the words of their query, as far as the shipped model can tell."""
    out = str(tmp_path_factory.mktemp("library"))
    vectors = MINI.clap.embed_text(list(SOUNDS.values())).detach().numpy()
    events = [
        Event(f"/{query}.wav", start, query=query, query_text=text, embedding=vector)
        for (query, text), vector in zip(SOUNDS.items(), vectors, strict=True)
        for start in (61.2, 3700.0)
    ]
    sign(out, model=MINI.signature)
    commit_events(out, "aa01", events)
    rebuild_derived(out)
    return out


@pytest.mark.parametrize(("phrase", "query"), [("hound", "dog"), ("downpour", "rain"), ("surf at the beach", "waves")])
def test_other_words_than_the_catalogs_find_the_right_events(phrase: str, query: str, library: str) -> None:
    assert [hit.query_id for hit in search(SearchJob(library, phrase, top=2))] == [query, query]
    (alone,) = search(SearchJob(library, phrase, top=1, duplicates=False))
    assert alone.start_seconds == 61.2
    assert {hit.query_id for hit in search(SearchJob(library, phrase, query_id="rain"))} == {"rain"}


def test_what_is_not_wanted_moves_down(library: str) -> None:
    # Rain and surf are near to "water"; without the one, the other comes first.
    assert search(SearchJob(library, "water", unwanted=("rain falling",), top=1))[0].query_id == "waves"
    assert search(SearchJob(library, "water", unwanted=("waves of the sea",), top=1))[0].query_id == "rain"


def test_a_recording_alone_or_with_a_text_can_be_searched_for(tmp_path: Path) -> None:
    recording = noise(tmp_path / "hiss.wav")
    sound = soundfile.read(recording, dtype="float32")[0]
    import torch

    with torch.no_grad():
        vector = MINI.clap.embed_audio(torch.from_numpy(sound)[None])[0].numpy()
    out = str(tmp_path / "library")
    sign(out, model=MINI.signature)
    other = MINI.clap.embed_text(["a dog barking"]).detach().numpy()[0]
    text = "a dog barking"
    commit_events(
        out,
        "aa01",
        [
            Event("/hiss.wav", 1.0, query="dog", query_text=text, embedding=vector),
            Event("/dog.wav", 1.0, query="dog", query_text=text, embedding=other),
        ],
    )
    rebuild_derived(out)
    first = search(SearchJob(out, audio=recording))[0]
    assert (first.source_uri, first.similarity) == ("/hiss.wav", pytest.approx(1.0, abs=2e-3))
    assert search(SearchJob(out, text))[0].source_uri == "/dog.wav"
    both = search(SearchJob(out, text, audio=recording))
    assert 0.3 < both[1].similarity < both[0].similarity < 0.99


def test_stems_of_extract_are_searched_too(tmp_path: Path) -> None:
    out = str(tmp_path)
    sign(out, kind="extract", model=MINI.signature)
    commit_unit(out, "aa01", [Member("/a.wav")])
    with pytest.raises(NothingToSearchError, match="embeddings of 8 numbers, the model's have 256"):
        search(SearchJob(out, "a dog"))


def test_only_the_model_that_made_the_dataset_is_taken(tmp_path: Path) -> None:
    out = str(tmp_path)
    sign(out, model="mini-0000")
    with pytest.raises(SearchError, match=f"made by mini-0000, and its embeddings mean nothing to {MINI.signature}"):
        model_of(out)
    other = str(tmp_path / "other")
    sign(other, model="my-own-net-0000")
    with pytest.raises(SearchError, match="made by my-own-net-0000, a model without a name here"):
        model_of(other)
    with pytest.raises(SearchError, match=f"made by my-own-net-0000.*{MINI.signature}"):
        model_of(other, "mini")


def said(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["search", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ([], 2, "nothing to search for"),
        (["  "], 2, "nothing to search for"),
        (["dog", "--not", " "], 2, "--not is empty"),
        (["dog", "--top", "0"], 2, "--top is 0"),
        (["dog", "--query", "cow"], 2, "no row has the query 'cow'; there are dog, rain, waves"),
        (["--audio", "gone.wav"], 2, "--audio: the exemplar 'gone.wav' cannot be read"),
        (["dog", "--model", "huge"], 1, "no model 'huge'"),
    ],
)
def test_wrong_use_is_a_sentence(arguments: list[str], code: int, sentence: str, library: str) -> None:
    ended, _, stderr = said(library, *arguments)
    assert ended == code
    assert sentence in stderr


def test_a_silent_recording_no_dataset_and_an_empty_library_are_told_of(library: str, tmp_path: Path) -> None:
    code, _, stderr = said(library, "--audio", noise(tmp_path / "hush.wav", level=0.0))
    assert (code, "the exemplar 'hush.wav' is silent" in stderr) == (2, True)
    code, _, stderr = said(str(tmp_path / "nowhere"), "dog")
    assert (code, "there is no dataset at" in stderr) == (1, True)
    empty = str(tmp_path / "empty")
    sign(empty, model=MINI.signature)
    rebuild_derived(empty)
    code, _, stderr = said(empty, "dog")
    assert (code, "nothing to search: it has no rows" in stderr) == (1, True)


def test_json_is_one_object_per_hit_with_exact_numbers(library: str) -> None:
    code, stdout, _ = said(library, "hound", "--top", "3", "--json")
    hits = [json.loads(line) for line in stdout.splitlines()]
    assert code == 0
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    assert hits[0]["start_seconds"] == 61.2
    assert hits[0]["stem_id"] == Event("/dog.wav", 61.2).stem_id
    assert hits == [json.loads(json.dumps(vars(hit))) for hit in search(SearchJob(library, "hound", top=3))]


def test_the_table_fits_a_hundred_columns_and_takes_names_as_they_are() -> None:
    hit = Hit(
        rank=1,
        score=0.51234,
        similarity=0.6,
        query_id="a" * 64,
        query_text="the [bold]long[/bold] caption of a query that goes on for longer than a line has room",
        source_uri="tar://folder/[red]odd[/red] and very long name of a recording.wav::/archive/of/many/tapes.tar",
        track=1,
        start_seconds=3661.26,
        end_seconds=3670.0,
        stem_id="0123456789abcdef0123456789abcdef",
    )
    for width in (60, 100, 200):
        text = io.StringIO()
        print_hits([hit], console=Console(file=text, width=width))
        lines = text.getvalue().splitlines()
        assert max(map(len, lines)) <= min(width, 100)
        for piece in ("[bold]", "[red]", "track 1", "0.512"):
            assert piece in "".join(text.getvalue().split("\n")), piece
    assert "1:01:01.3 - 1:01:10.0" in text.getvalue()


def test_times_read_as_a_player_shows_them() -> None:
    assert clock_span(0.0, 59.96) == "0:00.0 - 1:00.0"


def test_an_address_that_cannot_be_read_is_wrong_use(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, stderr = said(library, "--audio", "unheardof://x")
    assert (code, "Protocol not known" in stderr) == (2, True)
    without_credentials(tmp_path, monkeypatch)
    code, _, stderr = said(library, "--audio", "s3://bucket/x.wav")
    assert (code, "check the address, the credentials" in stderr) == (2, True)
    code, _, stderr = said("s3://bucket/out", "dog")
    assert (code, "the store does not answer" in stderr) == (1, True)


def test_a_dataset_of_another_version_is_refused(tmp_path: Path) -> None:
    create_or_check_signature(str(tmp_path), {"kind": "mine", "schema_version": 1, "model": MINI.signature})
    code, _, stderr = said(str(tmp_path), "dog")
    assert (code, "holds tables of version 1" in stderr) == (2, True)
