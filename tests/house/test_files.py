"""How files and classes are built: short, flat, and saying what they are."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tailrace"
FOLDERS = ("src", "tests", "bench", "docs", "examples", "services")
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
MAX_BYTES = 2**20


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


def too_long(text: str) -> dict[str, int]:
    """The functions with more lines below their docstring than they may have, and how many they have."""
    found = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1
            if lines > MAX_FUNCTION_LINES:
                found[node.name] = lines
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_function_has_at_most_40_lines_below_its_docstring(path):
    assert too_long(path.read_text(encoding="utf-8")) == {}


def test_a_function_that_is_too_long_is_found_wherever_it_is():
    lines = "        x = 1\n" * MAX_FUNCTION_LINES
    said = f'class A:\n    def f():\n        """What it gives.\n\n{lines}        """\n{lines}'
    assert too_long(said) == {}
    assert too_long(f"{said}        x = 1\n") == {"f": 41}
    assert too_long(f"class A:\n    async def g():\n{lines}        x = 1\n") == {"g": 41}


@pytest.mark.parametrize("path", DESTINATIONS, ids=name_of)
def test_a_destination_says_when_rows_are_durable_and_visible_how_they_are_loaded_and_its_source(path):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    for heading in ("Durable when", "Visible when", "Load verb", "Source"):
        assert re.search(rf"^\*?{heading}\*?:? ", docstring, re.MULTILINE), heading


def test_nothing_over_a_megabyte_is_kept_in_the_repository():
    git = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(git, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    files = [ROOT / name for name in names if name]
    assert ROOT / "pyproject.toml" in files
    assert [name_of(path) for path in files if path.is_file() and path.stat().st_size > MAX_BYTES] == []
