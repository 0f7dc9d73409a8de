"""The workflow that checks every push: each system, each Python that the package is for, and all tests on Linux."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEXT = (ROOT / ".github" / "workflows" / "check.yml").read_text(encoding="utf-8")
# YAML of old, which is what is read here, takes the word `on` for true.
WORKFLOW = {"on" if name is True else name: value for name, value in yaml.safe_load(TEXT).items()}
JOBS = WORKFLOW["jobs"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def commands(job):
    return "\n".join(step.get("run", "") for step in JOBS[job]["steps"])


def test_it_runs_on_every_push_and_pull_request():
    assert WORKFLOW["on"] == {"push": None, "pull_request": None}


def test_what_is_checked_while_working_is_checked_on_every_system():
    assert {name.partition("-")[0] for name in JOBS["check"]["strategy"]["matrix"]["runner"]} == {
        "ubuntu",
        "macos",
        "windows",
    }
    assert JOBS["check"]["runs-on"] == "${{ matrix.runner }}"
    assert "make check" in commands("check").split("\n")


def test_it_is_checked_on_every_python_from_the_oldest_that_the_package_takes():
    versions = JOBS["check"]["strategy"]["matrix"]["python"]
    assert all(isinstance(version, str) for version in versions), "3.10 would be 3.1"
    numbers = [tuple(map(int, version.split("."))) for version in versions]
    assert numbers == [(3, minor) for minor in range(numbers[0][1], numbers[-1][1] + 1)], "none is left out"
    assert PROJECT["project"]["requires-python"] == f">={versions[0]}"
    newest = max(int(minor) for minor in re.findall(r"Python :: 3\.(\d+)$", "\n".join(classifiers()), re.MULTILINE))
    assert numbers[-1] == (3, newest)
    python = next(step for step in JOBS["check"]["steps"] if step.get("uses", "").startswith("actions/setup-python@"))
    assert python["with"] == {"python-version": "${{ matrix.python }}"}


def classifiers():
    return PROJECT["project"]["classifiers"]


def test_all_tests_run_on_linux_as_on_a_fresh_machine():
    assert JOBS["test"]["runs-on"].startswith("ubuntu-")
    assert "make test" in commands("test").split("\n")


def test_nothing_may_fail_unseen():
    assert "continue-on-error" not in TEXT
    assert "|| true" not in TEXT


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_workflow_has_actions_and_rust_at_exact_versions_and_may_only_read(path):
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    assert used
    assert [name for name in used if not re.search(r"@v\d+\.\d+\.\d+$", name)] == []


def test_every_workflow_has_the_same_rust():
    named = re.compile(r'(?:rust-toolchain: "|image: rust:|rustup toolchain install |rustup default )([\d.]+)')
    found = {path.stem: {*named.findall(path.read_text(encoding="utf-8"))} for path in WORKFLOWS}
    assert found == {path.stem: {"1.95.0"} for path in WORKFLOWS}
