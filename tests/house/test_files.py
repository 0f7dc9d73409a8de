"""How files and classes are built: short, flat, and saying what they are."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tailrace"
FOLDERS = ("src", "tests", "bench", "examples", "services")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
MODULES = sorted(SOURCE.rglob("*.py"))
DESTINATIONS = sorted(
    path
    for pattern in ("*.py", "*/__init__.py")
    for path in (SOURCE / "destinations").glob(pattern)
    if path != SOURCE / "destinations" / "__init__.py"
)

MAX_LINES = 400
MAX_FUNCTION_LINES = 40
OUTSIDE_BASES = 1
"""A class of ours may stand on one of ours, which may stand on one from outside."""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_has_at_most_400_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_says_what_it_is_in_its_first_line(path):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring
    assert docstring.splitlines()[0].rstrip().endswith((".", ":", "?"))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_function_has_at_most_40_lines_below_its_docstring(path):
    too_long = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1
            if lines > MAX_FUNCTION_LINES:
                too_long[node.name] = lines
    assert not too_long


def test_inheritance_is_at_most_two_deep():
    bases = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = [base.id for base in node.bases if isinstance(base, ast.Name)]

    def depth(name):
        own = [base for base in bases.get(name, []) if base in bases]
        return 1 + max(map(depth, own), default=0)

    assert {name: depth(name) for name in bases if depth(name) > 3} == {}
    assert {name: found for name, found in bases.items() if len(found) > 1} == {}


@pytest.mark.parametrize("path", DESTINATIONS, ids=name_of)
def test_a_destination_says_when_rows_are_durable_and_visible_how_they_are_loaded_and_its_source(path):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    for heading in ("Durable when", "Visible when", "Load verb", "Source"):
        assert re.search(rf"^\*?{heading}\*?:? ", docstring, re.MULTILINE), heading


def test_nothing_over_a_megabyte_is_kept_in_the_repository():
    skipped = {".git", ".venv", ".work", ".mypy_cache", ".ruff_cache", ".hypothesis", "__pycache__", "target", "corpus"}
    files = [p for p in ROOT.rglob("*") if p.is_file() and not skipped & set(p.relative_to(ROOT).parts)]
    assert [name_of(p) for p in files if p.stat().st_size > 2**20] == []
