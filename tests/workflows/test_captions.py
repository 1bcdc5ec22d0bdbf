"""`soundquarry captions` as a person meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_model import WordSentences, save_small
from typer.testing import CliRunner

from model import clap as clap_module
from model.caption_cache import CaptionCache
from workflows.cli import app

ROOT = Path(__file__).parents[2]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small model's path; its sentences need no network."""
    monkeypatch.setattr(clap_module, "SentenceEncoder", WordSentences)
    return str(save_small(tmp_path / "small.safetensors"))


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors; an error that nobody words ends the test."""
    done = CliRunner().invoke(app, ["captions", *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_twenty_thousand_captions_are_made_within_seconds_and_the_same_again(tmp_path: Path) -> None:
    one, other, third = (tmp_path / name for name in ("one.txt", "other.txt", "third.txt"))
    began = time.process_time()
    code, out, _ = run("generate", str(one))
    assert time.process_time() - began < 3.0
    assert (code, out) == (0, f"20,000 captions in {one}\n")
    assert len(set(one.read_text("utf-8").splitlines())) == 20_000
    assert run("generate", str(other))[0] == run("generate", str(third), "--seed", "1")[0] == 0
    assert one.read_bytes() == other.read_bytes() != third.read_bytes()


def test_a_file_that_is_there_is_written_over_only_when_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "captions.txt"
    path.write_text("my own\n")
    for command in (["generate", str(path), "--count", "5"], ["prompt", str(path)]):
        code, _, said = run(*command)
        assert code == 2
        assert "is there already; give another name, or --overwrite" in said
        assert path.read_text() == "my own\n"
    assert run("generate", str(path), "--count", "5", "--overwrite")[0] == 0
    assert len(path.read_text().splitlines()) == 5


@pytest.mark.parametrize("count", ["0", "1000001"])
def test_a_count_that_cannot_be_is_wrong_use(tmp_path: Path, count: str) -> None:
    code, _, said = run("generate", str(tmp_path / "captions.txt"), "--count", count)
    assert code == 2
    assert "--count" in said


def test_the_prompt_is_printed_or_written(tmp_path: Path) -> None:
    code, out, _ = run("prompt", "--count", "300")
    assert code == 0
    assert out.startswith("Write 300 captions")
    assert run("prompt", str(tmp_path / "prompt.txt"), "--count", "300")[0] == 0
    assert (tmp_path / "prompt.txt").read_text("utf-8") == out


def test_captions_become_a_cache_that_opens_for_its_model(tmp_path: Path, small: str) -> None:
    captions, cache = tmp_path / "captions.csv", tmp_path / "cache.safetensors"
    captions.write_text("caption\na dog barking\nrain\na dog barking\n")
    command = ["cache", str(captions), "--to", str(cache), "--model", small, "--template", "the sound of {}"]
    code, out, said = run(*command)
    assert code == 0
    assert f"2 captions (1 repeated ones dropped) in {cache}, embedded by Clap-" in out
    assert "2 of 2 captions" in said
    from model.registry import load_model

    opened = CaptionCache.open(cache, load_model(small).clap, "the sound of {}")
    assert opened.captions == ("a dog barking", "rain")
    found = json.loads(run(*command, "--json")[1])
    assert (found["captions"], found["repeated"], found["key"], found["kept"]) == (2, 1, opened.key, True)


def test_a_cache_that_is_there_is_kept_if_it_is_the_same_and_else_not_lost(tmp_path: Path, small: str) -> None:
    captions, cache = tmp_path / "captions.txt", tmp_path / "cache.safetensors"
    captions.write_text("a dog barking\nrain\n")
    command = ["cache", str(captions), "--to", str(cache), "--model", small]
    assert run(*command)[0] == 0
    before = os.stat(cache).st_mtime_ns
    assert "there already" in run(*command)[1]
    assert os.stat(cache).st_mtime_ns == before
    captions.write_text("a bell\n")
    code, _, said = run(*command)
    assert code == 2
    assert "holds 2 other captions" in said
    assert os.stat(cache).st_mtime_ns == before
    assert run(*command, "--overwrite")[0] == 0
    cache.write_text("somebody's letter")
    code, _, said = run(*command, "--overwrite")
    assert code == 2
    assert "is no caption cache" in said
    assert cache.read_text() == "somebody's letter"


def test_a_place_that_takes_no_cache_is_told_before_anything_is_embedded(tmp_path: Path) -> None:
    captions = tmp_path / "captions.txt"
    captions.write_text("rain\n")
    for to, said in ((tmp_path, "is a folder; give the name of a file in it"), (captions / "cache", "is no folder")):
        code, _, error = run("cache", str(captions), "--to", str(to), "--model", "no such model", "--overwrite")
        assert code == 1
        assert f"--to {to}" in error
        assert said in error


@pytest.mark.parametrize(
    ("content", "options", "code", "said"),
    [
        ("", [], 2, "holds no caption"),
        ("rain\n", ["--template", "sound"], 2, "takes the caption at one {}"),
        ("rain\n", ["--model", "mimi"], 1, "did you mean mini?"),
        ("rain\n", ["--device", "tpu"], 2, "choose auto, cpu or cuda"),
        (None, [], 1, "no file of captions at"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    tmp_path: Path, content: str | None, options: list[str], code: int, said: str
) -> None:
    captions = tmp_path / "captions.txt"
    if content is not None:
        captions.write_text(content)
    ended, _, error = run("cache", str(captions), "--to", str(tmp_path / "cache"), *options)
    assert ended == code
    assert said in error
    assert os.listdir(tmp_path) == ([] if content is None else ["captions.txt"])


def test_help_needs_neither_torch_nor_ray() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from workflows.cli import app\n"
        "assert CliRunner().invoke(app, ['captions', '--help']).exit_code == 0\n"
        "print([n for n in ('torch', 'ray', 'transformers') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
