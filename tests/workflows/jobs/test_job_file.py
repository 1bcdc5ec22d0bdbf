"""Job files mean what the command line means; what is wrong in one is a sentence that names the place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workflows.cli import app
from workflows.jobs.job_file import JobFileError, context_of, job_of, read_job

JOB = "workflow: extract\nsources: [s3://archive/talks]\ncatalog: catalog.yaml\nout: s3://stems/talks\nthreshold: 0.4\n"


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    (tmp_path / "catalog.yaml").write_text("- a dog barking\n- rain\n")
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return path


def test_a_file_says_the_options_by_their_names_and_the_catalog_lies_beside_it(job_file: Path) -> None:
    job = read_job(job_file)
    assert job.workflow == "extract"
    assert job.path == job_file
    assert job.options == {
        "sources": ["s3://archive/talks"],
        "catalog": str(job_file.parent / "catalog.yaml"),
        "out": "s3://stems/talks",
        "threshold": 0.4,
    }


def test_a_catalog_that_does_not_lie_beside_the_file_is_a_ready_one(job_file: Path) -> None:
    job_file.write_text(JOB.replace("catalog.yaml", "everyday"))
    assert read_job(job_file).options["catalog"] == "everyday"


def test_options_after_the_file_win_over_it(job_file: Path) -> None:
    job = read_job(job_file, ["--threshold", "0.7", "--no-gate", "other.wav", "--catalog", "animals"])
    assert job.options == {
        "sources": ["other.wav"],
        "catalog": "animals",
        "out": "s3://stems/talks",
        "threshold": 0.7,
        "no_gate": True,
    }
    assert context_of(read_job(job_file)).params["threshold"] == 0.4


def test_a_file_and_a_command_line_that_ask_for_the_same_are_the_same_work(job_file: Path) -> None:
    catalog = str(job_file.parent / "catalog.yaml")
    command = ["s3://archive/talks", "--catalog", catalog, "--out", "s3://stems/talks", "--threshold", "0.4"]
    asked = job_of("extract", command)
    assert asked == read_job(job_file)
    assert asked.work == read_job(job_file).work
    assert len(asked.work) == 10
    assert int(asked.work, 16) >= 0


def test_work_is_what_is_done_and_not_how_it_is_told(job_file: Path) -> None:
    work = read_job(job_file).work
    assert read_job(job_file, ["--json"]).work == work
    assert read_job(job_file, ["--unit-seconds", "600"]).work == work  # the default, spelled out
    for how in (["--workers", "4"], ["--device", "cuda"], ["--max-gpu-hours", "2"], ["--out", "s3://stems/talks/"]):
        assert read_job(job_file, how).work == work
    assert read_job(job_file, ["--threshold", "0.41"]).work != work
    job_file.write_text(JOB.replace("extract", "mine"))
    assert read_job(job_file).work != work
    job_file.write_text(JOB)
    (job_file.parent / "catalog.yaml").write_text("- rain\n-   a dog barking\n")
    assert read_job(job_file).work == work  # in another order and spacing
    (job_file.parent / "catalog.yaml").write_text("- a dog barking\n- snow\n")
    assert read_job(job_file).work != work


def test_work_follows_the_bytes_of_recordings_and_the_place_of_relative_paths(
    job_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job_file.parent / "catalog.yaml").write_text("- {id: door, audio: door.wav}\n")
    works = []
    for content in (b"one", b"two"):
        (job_file.parent / "door.wav").write_bytes(content)
        works.append(read_job(job_file).work)
    for folder in ("a", "b"):
        (job_file.parent / folder).mkdir()
        monkeypatch.chdir(job_file.parent / folder)
        works.append(read_job(job_file, ["talks"]).work)
    assert len(set(works)) == 4


@pytest.mark.parametrize(
    ("workflow", "option", "rest"),
    [
        ("mine", "ucs_list", "sources: [s3://archive/talks]\ncatalog: everyday\nout: s3://stems/talks\n"),
        ("evaluate", "list_csv", "root: /sounds\n"),
        ("evaluate", "unseen", "list_csv: /sounds/list.csv\nroot: /sounds\n"),
    ],
)
def test_work_follows_the_bytes_of_a_list_and_not_the_folder_it_lies_in(
    tmp_path: Path, workflow: str, option: str, rest: str
) -> None:
    works = []
    for folder, content in (("pod", "CatID\nANMLDog\n"), ("here", "CatID\nANMLDog\n"), ("other", "CatID\nANMLCat\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "list.csv").write_text(content)
        (tmp_path / folder / "job.yaml").write_text(f"workflow: {workflow}\n{option}: list.csv\n{rest}")
        works.append(read_job(tmp_path / folder / "job.yaml").work)
    assert works[0] == works[1]
    assert works[0] != works[2]


def test_what_the_environment_says_is_no_part_of_a_job(job_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "address" not in read_job(job_file, ["--address", "auto"]).options
    monkeypatch.setenv("SOUNDQUARRY_METRICS_JOB", "of the environment")
    assert "metrics_job" not in read_job(job_file).options


def test_what_a_file_says_wins_over_the_environment_of_who_submits_and_of_who_runs(
    job_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"pushgateway": "http://of-the-file:9091", "metrics_port": 9000, "metrics_job": "soundquarry"}
    job_file.write_text(JOB + "".join(f"{name}: {value}\n" for name, value in said.items()))
    monkeypatch.setenv("SOUNDQUARRY_PUSHGATEWAY", "http://of-the-environment:9091")
    monkeypatch.setenv("SOUNDQUARRY_METRICS_PORT", "7")
    monkeypatch.setenv("SOUNDQUARRY_METRICS_JOB", "of the environment")
    job = read_job(job_file)
    assert said.items() <= job.options.items()
    assert said.items() <= context_of(job).params.items()
    job_file.write_text(JOB)
    assert context_of(read_job(job_file)).params["metrics_port"] == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected 'workflow:' and its options, found None"),
        ("- a dog", "expected 'workflow:' and its options, found ['a dog']"),
        (
            "sources: [a]",
            "there is no 'workflow': write 'workflow: extract' (or one of extract, mine, evaluate, train)",
        ),
        ("workflow: extrct", "workflow is 'extrct': did you mean 'extract'?"),
        ("workflow: [extract]", "workflow is ['extract']: did you mean 'extract'?"),
        ("workflow: extract\nthreshhold: 0.4", "unknown key 'threshhold': did you mean 'threshold'?"),
        ("workflow: extract\nno-gate: true", "unknown key 'no-gate': did you mean 'no_gate'?"),
        ("workflow: mine\nno_gate: true", "unknown key 'no_gate': mine knows sources, catalog"),
        ("workflow: extract\n1: 2", "unknown key 1: extract knows sources"),
        ("workflow: extract\naddress: auto", "where a job runs is said when it is started"),
        ("workflow: extract\nsources: a.wav", "sources is 'a.wav': give a list, such as [a.wav]"),
        ("workflow: extract\nthreshold: high", "threshold is 'high'; give a number"),
        ("workflow: extract\nout: a\nout: b", ", line 3, column 1: not valid YAML: the key 'out' is given twice"),
        ("workflow: extract\nout: [", "not valid YAML"),
    ],
)
def test_what_cannot_be_a_job_is_explained(job_file: Path, text: str, said: str) -> None:
    job_file.write_text(text)
    with pytest.raises(JobFileError) as caught:
        read_job(job_file, ["x.wav", "--catalog", "everyday", "--out", "o"])
    assert str(caught.value).startswith(str(job_file))
    assert said in str(caught.value)


def test_a_file_that_is_not_there_or_is_no_text_is_explained(tmp_path: Path) -> None:
    with pytest.raises(JobFileError, match=r"no job file at extrac: did you mean the workflow 'extract'\?"):
        read_job(Path("extrac"))
    (tmp_path / "dir.yaml").mkdir()
    with pytest.raises(JobFileError, match=r"dir\.yaml is a folder: give the YAML file of a job"):
        read_job(tmp_path / "dir.yaml")
    (tmp_path / "job.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(JobFileError, match="this is not UTF-8 text"):
        read_job(tmp_path / "job.yaml")


def test_an_option_out_of_range_is_told_as_it_was_given(job_file: Path) -> None:
    with pytest.raises(JobFileError, match=r"^--unit-seconds is 0\.0; give a number from 1 to 600$"):
        read_job(job_file, ["--unit-seconds", "0"])


@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        ([], "workflow: extract\nthreshold: 7", "threshold is 7; give a number from 0 to 1"),
        (["--thresold", "1"], JOB, "No such option: --thresold"),
        ([], "workflow: extract\nsources: [a]\ncatalog: everyday", "Missing option '--out'"),
        ([], JOB.replace("catalog.yaml", "evryday"), "did you mean 'everyday'?"),
        (["--threshold", "1"], "workflow: evaluate\nlist_csv: a.csv\nroot: .", "No such option: --threshold"),
    ],
)
def test_run_ends_with_2_for_a_job_that_cannot_be_meant(
    job_file: Path, arguments: list[str], text: str, said: str
) -> None:
    job_file.write_text(text)
    done = CliRunner().invoke(app, ["run", str(job_file), *arguments])
    assert done.exit_code == 2, done.output
    assert said in " ".join(done.stderr.replace("│", " ").split())


def test_run_does_what_the_command_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list without a row ends `evaluate` in the same words, with the same exit code."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.csv").write_text("target_path,noise_path,snr_db,caption\n")
    (tmp_path / "job.yaml").write_text("workflow: evaluate\nlist_csv: list.csv\nroot: .\n")
    by_file = CliRunner().invoke(app, ["run", "job.yaml"])
    by_hand = CliRunner().invoke(app, ["evaluate", str(tmp_path / "list.csv"), "--root", "."])
    assert by_file.exit_code == by_hand.exit_code == 2
    assert by_file.stderr == by_hand.stderr
    assert "has no rows" in by_file.stderr


def test_a_job_is_understood_without_torch_and_ray(job_file: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from workflows.jobs.job_file import read_job; "
        f"from workflows.jobs.job_parcel import parcel; parcel(read_job(Path({str(job_file)!r}))); "
        "print([n for n in ('torch', 'ray') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_option_before_the_file_is_told_to_come_after_it(job_file: Path) -> None:
    done = CliRunner().invoke(app, ["run", "--threshold", "0.4", str(job_file)])
    assert done.exit_code == 2
    assert "--threshold is an option of a workflow, and comes after it: soundquarry run JOB.yaml" in done.stderr
    done = CliRunner().invoke(app, ["run", str(job_file.parent)])
    assert done.exit_code == 2
    assert "is a folder: give the YAML file of a job" in done.stderr
