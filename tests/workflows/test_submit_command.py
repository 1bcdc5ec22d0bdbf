"""`submit` and `jobs` as a person meets them: where, what, and what is wrong, before anything is sent."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from file_server import serving
from typer.testing import CliRunner, Result

from workflows.cli import app

PLACES = ["s3://archive/talks", "--catalog", "everyday", "--out", "s3://stems/talks"]


@pytest.fixture(scope="module")
def nobody() -> str:
    """An address at which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def soundquarry(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ([], "say where: --address http://HOST:8265 for a Ray cluster, or --kubernetes"),
        (["--address", "http://h:8265", "--kubernetes"], "give one of them"),
        (["--address", "h:6379"], "--address is 'h:6379': jobs are taken by the dashboard of a Ray head"),
        (["--address", "ray://h:10001"], "give its URL, such as http://HOST:8265"),
        (["--address", "http://"], "there is no host in it; give the URL of a dashboard"),
        (["--address", "http://a..b:8265"], "a part of the host's name is empty or too long"),
        (["--address", "http://h:port"], "Port could not be cast"),
        (["--address", "http://h:8265", "--namespace", "n"], "--namespace is of Kubernetes"),
        (["--address", "http://h:8265", "--if-running", "wait"], "choose join, skip or fail"),
    ],
)
def test_where_a_job_goes_has_to_be_said_once(where: list[str], said: str) -> None:
    done = soundquarry("submit", "extract", *PLACES, *where)
    assert done.exit_code == 2
    assert said in done.stderr
    if "--if-running" not in where:
        assert soundquarry("jobs", "list", *where).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["extrac", *PLACES], "did you mean the workflow 'extract'?"),
        (["job.yaml"], "no job file at job.yaml"),
        (["extract", *PLACES, "--thresold", "0.4"], "No such option: --thresold"),
        (["extract", *PLACES, "--threshold", "4"], "--threshold is 4.0; give a number from 0 to 1"),
        (["extract", *PLACES, "--no-gate", "--gate-threshold", "0.1"], "give one of them"),
        (["mine", *PLACES, "--catalog", "evryday"], "did you mean 'everyday'?"),
        (["extract", "s3://archive"], "Missing option '--catalog'"),
        (["--threshold", "0.4", "extract", *PLACES], "--threshold is an option of a workflow, and comes after it"),
        (["--no-gate", "job.yaml"], "--no-gate is an option of a workflow, and comes after it"),
        (["evaluate", "s3://b/list.csv", "--root", "."], "s3://b/list.csv is a URL, and only paths are read here"),
        (["evaluate", "list.csv", "--root", "s3://b"], "s3://b is a URL, and only paths are read here"),
        (["extract", *PLACES, "--metrics-port", "99999"], "give a number from 1 to 65535"),
        (["extract", *PLACES, "--model", "minni"], "did you mean mini?"),
    ],
)
def test_what_is_wrong_is_said_before_the_cluster_is_asked(arguments: list[str], said: str, nobody: str) -> None:
    done = soundquarry("submit", *arguments, "--address", nobody)
    assert done.exit_code == 2, done.stderr
    assert said in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize("name", ["", "a/b c", "../version", "Nightly", "-a", "a-", "ü", "a" * 64])
@pytest.mark.parametrize("command", [["jobs", "status"], ["jobs", "logs"], ["jobs", "cancel"], ["submit", "extract"]])
def test_a_name_that_no_job_can_have_is_wrong_use_before_the_cluster_is_asked(
    command: list[str], name: str, nobody: str
) -> None:
    asked = [*PLACES, f"--name={name}"] if command[0] == "submit" else ["--", name]
    done = soundquarry(*command, "--address", nobody, *asked)
    assert done.exit_code == 2, done.output
    assert "is no name of a job: give at most 63 characters a-z, 0-9 and -" in done.stderr
    assert "Ray" not in done.stderr


def test_paths_that_only_this_machine_may_know_are_told_of(nobody: str, tmp_path: Path) -> None:
    done = soundquarry("submit", "extract", str(tmp_path), *PLACES[1:3], "--out", str(tmp_path), "--address", nobody)
    assert done.exit_code == 1
    assert f"warning: sources: {tmp_path} is a path of this machine, not sent along" in done.stderr
    assert f"warning: out: {tmp_path} is a path of this machine" in done.stderr
    assert "warning" not in soundquarry("submit", "extract", *PLACES, "--address", nobody).stderr


@pytest.mark.parametrize(
    "command",
    [["submit", "extract", *PLACES], ["jobs", "list"], ["jobs", "status", "x"], ["jobs", "logs", "x", "--follow"],
     ["jobs", "cancel", "x"]],
)  # fmt: skip
def test_an_address_without_a_head_ends_with_1_and_says_what_to_look_at(command: list[str], nobody: str) -> None:
    done = soundquarry(*command, "--address", nobody)
    assert done.exit_code == 1
    assert re.search(f"no Ray head answers at {nobody} .* refused.: check .* runs with its dashboard", done.stderr)
    assert "Traceback" not in done.output


def test_the_address_that_is_given_counts_and_not_that_of_the_environment(
    nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert f"no Ray head answers at {nobody}" in soundquarry("jobs", "list", "--address", nobody).stderr


@pytest.mark.parametrize(
    ("files", "statuses", "said"),
    [
        ({"/api/version": b"<html>"}, [], "is no Ray head"),
        ({"/api/version": b"{}"}, [], "is no Ray head"),
        ({}, [], "is no Ray head"),
        ({}, [401], "wants a token"),
        ({}, [403], "wants a token"),
        ({"/api/version": b'{"ray_version": "1.8.0"}'}, [], "Ray version 1.8.0 is running"),
    ],
)
def test_what_answers_there_is_told_apart(files: dict[str, bytes], statuses: list[int], said: str) -> None:
    with serving(files) as server:
        server.statuses = statuses
        done = soundquarry("jobs", "list", "--address", server.url)
    assert done.exit_code == 1
    assert said in done.stderr
