"""The docs say what is so: every setting is described, and every command of the README runs."""

import importlib.util
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tailrace.config import Settings, StreamSettings
from tailrace.destinations import NAMES, settings_model, traits_of

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FOLDERS = ("bench", "docs", "examples", "native", "services", "tests")
FOUND = [*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))]
PAGES = sorted(page for page in FOUND if "target" not in page.relative_to(ROOT).parts)  # that is what cargo makes
MODELS = {"run": Settings, "stream": StreamSettings, **{name: settings_model(name) for name in NAMES}}


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_readme_begins_with_the_two_commands_that_do_everything():
    first_screen = README.splitlines()[:25]
    assert [line.split()[1] for line in first_screen if line.startswith("    make ")] == ["demo", "test"]


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    return generate


def test_the_page_of_settings_is_as_the_models_make_it():
    generate = generator()
    assert generate.PAGE.read_text(encoding="utf-8") == generate.page()


@pytest.mark.parametrize("path", generator().DESTINATIONS, ids=lambda path: path.stem)
def test_a_destinations_page_has_the_types_of_its_code_and_says_what_users_ask(path):
    text = path.read_text(encoding="utf-8")
    assert text == generator().destination_page(path)
    asked = ["pip install ", "## Types", "## Guarantee", "## Permissions", "## Tested against", "## Limits"]
    assert [part for part in asked if part not in text] == []


def test_the_page_of_what_was_proven_is_as_its_record_makes_it():
    generate = generator()
    assert generate.PROVEN.read_text(encoding="utf-8") == generate.proven_page()


def test_meltanos_definition_of_the_target_is_as_the_settings_make_it():
    generate = generator()
    assert generate.PLUGIN.read_text(encoding="utf-8") == generate.plugin_page()


@pytest.mark.parametrize("family", generator().GUIDES)
def test_a_guide_for_who_comes_from_other_targets_has_what_becomes_of_each_setting(family):
    generate = generator()
    assert generate.GUIDES[family].read_text(encoding="utf-8") == generate.guide_page(family)


def test_the_page_for_who_comes_from_mage_has_every_key():
    generate = generator()
    assert generate.FROM_MAGE.read_text(encoding="utf-8") == generate.mage_page()


def test_the_page_on_writing_a_destination_has_the_example_as_it_is():
    generate = generator()
    assert generate.WRITING.read_text(encoding="utf-8") == generate.writing_page()
    lines = (generate.EXAMPLE / "tailrace_album.py").read_text(encoding="utf-8").splitlines()
    assert f"## A destination in {len(lines)} lines" in generate.writing_page()
    assert len(lines) < 100


@pytest.mark.parametrize("name", sorted({*NAMES} - {"memory"}))
def test_a_destination_has_a_page_and_all_passed_on_what_it_was_last_run_on(name):
    entries = [entry for entry in json.loads(generator().RECORD.read_text()) if entry["destination"] == name]
    assert (ROOT / "docs" / "destinations" / f"{name}.md").exists()
    assert [entry for entry in entries if entry["failed"] or not entry["passed"]] == []


@pytest.mark.parametrize("library", ["deltalake", "duckdb", "pyiceberg"])
def test_the_version_of_a_library_that_tests_use_is_no_newer_than_what_make_newest_has_run_on(library):
    pinned = re.search(rf"^{library}==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]
    proven = [entry["version"] for entry in json.loads(generator().RECORD.read_text()) if entry["on"] == library]
    numbers = [tuple(map(int, version.split("."))) for version in proven]
    assert min(numbers, default=()) >= tuple(map(int, pinned.split("."))), "run `make newest`"


@pytest.mark.parametrize("name", MODELS)
def test_every_setting_is_described(name):
    assert [field for field, info in MODELS[name].model_fields.items() if not info.description] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_and_the_page_on_checkpoints_have_a_destinations_guarantee(name):
    checkpoints = (ROOT / "docs" / "checkpoints.md").read_text(encoding="utf-8")
    promise = re.split("[:,]", traits_of(name).guarantee)[0]
    for page in (README, checkpoints):
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        assert promise
        assert promise in row


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the examples, and a tap-shop that sends the orders."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "examples").symlink_to(ROOT / "examples")
    tap = folder / "tap-shop"
    tap.write_text(f"#!/bin/sh\nexec cat '{ROOT}/examples/orders.singer'\n")
    tap.chmod(tap.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.mark.parametrize("block", blocks("bash"), ids=lambda block: block.split("\n")[0][:50])
def test_a_command_of_the_readme_runs(folder, block):
    path = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["bash", "-euo", "pipefail", "-c", block]
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_every_verb_has_a_worked_example_in_the_readme():
    from tailrace.cli import VERBS  # noqa: PLC0415 the command line is needed here alone

    verbs = set(VERBS)
    shown = set(re.findall(r"tailrace (\w+)", "\n".join(blocks("bash"))))
    assert verbs <= shown


def anchors(page):
    """What a link into a page can name: its headings, in GitHub's spelling."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.*?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def lost_links(page):
    """The relative links of a page that lead nowhere: to no file, or to no heading in it."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    lost = []
    for target in re.findall(r"\]\((?![a-z]+:)([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            lost.append(target)
    return lost


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    assert lost_links(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    page = tmp_path / "a.md"
    page.write_text("# One thing, two\n[a](a.md#one-thing-two) [b](#one) [c](c.md) [d](https://c.md)\n")
    assert lost_links(page) == ["#one", "c.md"]
