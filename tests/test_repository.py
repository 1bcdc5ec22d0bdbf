"""The repository keeps its own rules: imports flow downward, documents run, the tested set is complete and generic."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("model", "operators", "workflows")  # each may import itself and what stands before it
SOURCES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def imported_packages(source: str) -> set[str]:
    """Top-level names of everything a source imports, inside functions as well."""
    nodes = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


def normalised(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match, requirement
    return re.sub(r"[-_.]+", "-", match.group()).lower()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_flow_downward_only(path: Path) -> None:
    layer = LAYERS.index(path.relative_to(ROOT).parts[0])
    above = set(LAYERS[layer + 1 :]) | ({"ray"} if LAYERS[layer] == "model" else set()) | {"tests"}
    assert not imported_packages(path.read_text(encoding="utf-8")) & above


def test_the_import_rule_sees_imports_inside_functions() -> None:
    assert imported_packages("def f():\n    from workflows.cli import main\n    import ray.data") == {
        "workflows",
        "ray",
    }


def test_the_operator_of_contributing_runs_with_its_test(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(# (\S+)\n.*?)```", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.DOTALL)
    assert [path for _, path in blocks] == ["operators/crest.py", "tests/operators/test_crest.py"]
    assert sum(len(code.splitlines()) for code, _ in blocks) <= 42  # 40 and the two path lines
    for code, path in blocks:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(code, encoding="utf-8")
    (tmp_path / "operators" / "__init__.py").touch()  # this folder before the installed package of the same name
    ruff = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), str(tmp_path)]
    pytest_ = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider", "tests"]
    for command in (ruff, pytest_):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_constraints_hold_every_direct_dependency_and_name_no_place() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line) for line in lines)  # no URL, no build tag
    project = PYPROJECT["project"]
    direct = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    assert {normalised(requirement) for requirement in direct} <= {normalised(line) for line in lines}


def test_every_dependency_says_what_it_is_for() -> None:
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    requirements = [line for line in lines if re.match(r'    "[A-Za-z][A-Za-z0-9_.\[\],-]*[<>=]', line)]
    assert len(requirements) > 25
    assert all(re.search(r'",\s+# \w', line) for line in requirements)


def test_the_console_command_is_installed() -> None:
    commands = {entry.name: entry.value for entry in metadata.entry_points(group="console_scripts")}
    assert commands["soundquarry"] == PYPROJECT["project"]["scripts"]["soundquarry"]


def test_every_package_with_sources_is_found_by_the_build() -> None:
    folders = {path.parent for path in SOURCES}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_there_is_no_init_in_tests() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


@pytest.mark.parametrize("package", LAYERS)
def test_importing_a_package_imports_nothing_heavy(package: str) -> None:
    code = (
        f"import sys, {package}; print([n for n in ('torch', 'ray', 'transformers', 'laion_clap') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert importlib.util.find_spec(package) is not None


@pytest.mark.parametrize("script", [".ci/run", ".ci/bootstrap", ".ci/image", ".ci/check-image"])
def test_the_scripts_parse_and_may_be_executed(script: str) -> None:
    path = ROOT / script
    shell = path.read_text(encoding="utf-8").partition("\n")[0].rpartition("/")[2].split()[-1]
    assert subprocess.run([shell, "-n", str(path)], check=False).returncode == 0
    assert path.stat().st_mode & 0o100
