"""Manifests that cannot be followed: an error of the job, with place and value, before the first source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_manifests import listed, write_manifest, write_text

from operators.manifest_rows import ManifestError
from operators.sources import SourcesNotFoundError, list_sources


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in ("a é.wav", "sub/b.wav"):
        (tmp_path / name).write_bytes(b"sound")
    return tmp_path


WRONG = [
    ("m.csv", "path,start\nx.wav,1\n", "no column 'uri' (found: path, start)"),
    ("m.csv", "", "no column 'uri' (found: nothing)"),
    ("m.csv", "uri,start\n", "no entries"),
    ("m.csv", "uri,start\n\"x\n.wav\",1\nx.wav,abc\n", "line 4: start 'abc' is not a number"),
    ("m.csv", "uri,start\nx.wav,nan\n", "line 2: start 'nan' is not a number"),
    ("m.csv", "uri,start\nx.wav,-1\n", "line 2: start '-1' is negative"),
    ("m.csv", "uri,start,end\nx.wav,5,5.0\n", "line 2: end 5.0 is not after start 5"),
    ("m.csv", "uri,start,end\nx.wav,5,5.0004\n", "line 2: end 5.0004 is less than 0.001 s after start 5.0"),
    ("m.csv", "uri,start\nx.wav,1e17\n", "line 2: start '1e17' is beyond 10000000 s"),
    ("m.jsonl", '{"uri": "x.wav", "end": 1e300}\n', "line 1: end 1e+300 is beyond 10000000 s"),
    ("m.jsonl", '{"uri": "x.wav", "tags": ["a\\u0000b"]}\n', "tag 'a\\x00b' holds the control character U+0000"),
    ("m.csv", 'uri,text\nx.wav,"a\nb"\n', "line 3: tag 'text=a\\nb' holds the control character U+000A"),
    ("m.csv", f"uri,tags\nx.wav,{'y' * 1001}\n", "has 1001 characters, a tag has at most 1000"),
    ("m.csv", f"uri,tags\nx.wav,{';'.join(map(str, range(201)))}\n", "line 2: number of tags 201 is more than 200"),
    ("m.jsonl", json.dumps({"uri": "x.wav", "tags": ["é" * 990 + str(i) for i in range(99)]}),
     "line 1: bytes of all tags 196404 is more than 100000"),
    ("m.csv", "uri,track\nx.wav,1.5\n", "line 2: track '1.5' is not an audio track"),
    ("m.csv", "uri,track\nx.wav,-1\n", "line 2: track '-1' is not an audio track"),
    ("m.csv", "uri,track\nx.wav\n", "line 2: 1 values for the 2 columns"),
    ("m.csv", ",uri\n0,x.wav\n", "column 1 has no name"),
    ("m.csv", "uri,uri\nx.wav,y.wav\n", "'uri' is there 2 times"),
    ("m.csv", "uri\n\"x.wav\n", "not CSV"),
    ("m.csv", "uri\nx.wav\n\xe9.wav\n".encode("latin-1"), "line 3: not UTF-8 (byte 0xe9)"),
    ("m.csv", b"x" * (1 << 20), "line 1: longer than 1048576 bytes"),
    ("m.csv", "uri,tags\n ,x\n", "line 2: uri ' ' is no address"),
    ("m.jsonl", "", "no entries"),
    ("m.jsonl", '{"uri": "x.wav"}\n{"uri": \n', "line 2: not JSON"),
    ("m.jsonl", "[1]\n", "line 1: list instead of an object"),
    ("m.jsonl", '{"path": "x.wav"}\n', "line 1: uri None is no address"),
    ("m.jsonl", '{"uri": "x.wav", "start": true}\n', "line 1: start True is not a number"),
    ("m.jsonl", '{"uri": "x.wav", "end": NaN}\n', "line 1: end nan is not a number"),
    ("m.jsonl", '{"uri": "x.wav", "tags": [1]}\n', "line 1: tags [1] is no list of strings"),
    ("m.jsonl", '{"uri": "x.wav", "box": {"a": 1}}\n', "line 1: box {'a': 1} cannot be a tag"),
    ("m.jsonl", '{"uri": "x.wav", "tags": ["\\ud800"]}\n', "is not text"),
    ("m.parquet", b"PAR1 or not", "not a whole Parquet file"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "said"), WRONG, ids=[said[:40] for _, _, said in WRONG])
def test_wrong_manifest_is_an_error_of_the_job_before_the_first_source(
    sounds: Path, name: str, text: str | bytes, said: str
) -> None:
    with pytest.raises(ManifestError) as caught:
        list_sources([str(sounds / "sub"), str(write_text(sounds / name, text))])
    assert str(caught.value).startswith(f"{sounds}/{name}")
    assert said in str(caught.value)


def test_wrong_parquet_is_told_by_row(sounds: Path) -> None:
    for rows, said in (
        ([{"path": "x.wav"}], "no column 'uri' (found: path)"),
        ([{"uri": "x.wav", "end": 1.0}, {"uri": "x.wav", "end": -1.0}], "row 2: end -1.0 is negative"),
        ([{"uri": "x.wav", "cover": b"\xff"}], "row 1: cover b'\\xff' cannot be a tag"),
    ):
        with pytest.raises(ManifestError) as caught:
            listed(write_manifest(sounds / "m.parquet", rows))
        assert said in str(caught.value)


def test_manifest_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(SourcesNotFoundError, match=r"gone\.csv"):
        listed(tmp_path / "gone.csv")


def test_whole_source_after_one_of_its_tracks_is_refused(sounds: Path) -> None:
    manifest = write_manifest(sounds / "m.jsonl", [{"uri": "sub/b.wav", "track": 0}, {"uri": "gone.wav", "track": 0}])
    with pytest.raises(ManifestError, match="name the whole first") as caught:
        listed(manifest, sounds / "sub")
    assert str(caught.value).startswith(f"{sounds}/sub/b.wav: ")
    gone = write_manifest(sounds / "gone.jsonl", [{"uri": "gone.wav", "track": 0}, {"uri": "gone.wav"}])
    assert len(listed(gone)) == 2
