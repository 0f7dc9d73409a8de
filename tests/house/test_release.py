"""The workflow that makes releases: all platforms, actions at exact versions, no secrets, and our own versions."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import tailrace

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
# YAML of old, which is what is read here, takes the word `on` for true.
WORKFLOW = {"on" if name is True else name: value for name, value in yaml.safe_load(TEXT).items()}
JOBS = WORKFLOW["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
BUILDS = {"python", "native", "native-sdist"}

TARGETS = {
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
}


def steps_with(action):
    return [step for step in STEPS if step.get("uses", "").startswith(f"{action}@")]


def test_it_runs_on_tags_of_versions():
    assert WORKFLOW["on"]["push"] == {"tags": ["v*"]}


def test_tailrace_native_is_built_for_every_platform_and_as_source():
    assert {each["target"] for each in JOBS["native"]["strategy"]["matrix"]["include"]} == TARGETS
    wheels, source = steps_with("PyO3/maturin-action")
    assert (wheels["with"]["target"], wheels["with"]["manylinux"]) == ("${{ matrix.target }}", "2_28")
    assert source["with"]["command"] == "sdist"


@pytest.mark.parametrize("job", sorted(BUILDS))
def test_what_is_built_is_installed_and_asked_what_decodes_before_it_is_kept(job):
    decoder = "reference" if job == "python" else "native"
    steps = JOBS[job]["steps"]
    asked = next(at for at, step in enumerate(steps) if f'"decoder": "{decoder}"' in step.get("run", ""))
    kept = next(at for at, step in enumerate(steps) if step.get("uses", "").startswith("actions/upload-artifact@"))
    assert asked < kept


def test_nothing_is_published_before_everything_is_built_or_without_a_tag():
    for job in ("publish", "page"):
        assert set(JOBS[job]["needs"]) == BUILDS
        assert JOBS[job]["if"] == "github.ref_type == 'tag'"


def test_both_projects_are_published_by_trust_and_without_a_secret():
    projects = {each["project"] for each in JOBS["publish"]["strategy"]["matrix"]["include"]}
    assert projects == {"tailrace", "tailrace-native"}
    assert JOBS["publish"]["permissions"] == {"id-token": "write"}
    assert "with" not in steps_with("pypa/gh-action-pypi-publish")[0]
    assert "secrets" not in TEXT


def test_actions_are_had_at_exact_versions():
    assert [step["uses"] for step in STEPS if "uses" in step and not re.search(r"@v\d+\.\d+\.\d+$", step["uses"])] == []


def test_maturin_is_the_one_that_everything_was_tested_with():
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    for step in steps_with("PyO3/maturin-action"):
        assert f"maturin=={step['with']['maturin-version'].removeprefix('v')}\n" in constraints


def test_both_packages_have_one_version():
    manifest = tomllib.loads((ROOT / "native" / "Cargo.toml").read_text(encoding="utf-8"))
    assert manifest["package"]["version"] == tailrace.__version__
