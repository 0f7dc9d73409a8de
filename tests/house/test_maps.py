"""The maps for people (ARCHITECTURE.md, CONTRIBUTING.md): whatever they name is there, and every folder is on them.

In both pages `path/of.py:Name` is a file, from the root or from src/tailrace, and what is defined in it. A word in
backticks is a name that is defined in src/tailrace, an option, or a thread; `make x` and `tailrace x` are commands.
NAME and NNNN stand for any name and number in a path, and `X=1` is a variable of the environment.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tailrace"
MAP = ROOT / "ARCHITECTURE.md"
PAGES = (MAP, ROOT / "CONTRIBUTING.md")
GUIDES = sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "destinations").glob("*.md")])
MODULES = sorted(SOURCE.rglob("*.py"))

_FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"(?P<path>\.?[\w-][\w./*-]*?)(?::(?P<name>[A-Za-z_][\w.-]*))?")
_FILE_IN_TEXT = re.compile(r"[\w-][\w/-]*\.(?:py|md|rs|yml|txt|toml)(?::[A-Za-z_][\w.]*)?")
_FILE_ENDING = re.compile(r"\.(?:py|pyi|md|rs|toml|txt|json|jsonl|yml|singer)(?::|$)|^Makefile(?::|$)")


def names_within(body, prefix=""):
    """Every name that statements define, methods and fields of classes as `Class.name`."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from names_within(node.body, f"{prefix}{node.name}.")
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        yield from (prefix + target.id for target in targets if isinstance(target, ast.Name))


@cache
def defined_in(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return frozenset(names_within(ast.parse(text).body))
    if path.suffix == ".rs":
        return frozenset(re.findall(r"\b(?:fn|struct|enum|trait|const|type) (\w+)", text))
    return frozenset(re.findall(r"^([\w-]+)(?::| =)", text, re.MULTILINE))  # targets, keys


@cache
def known_words():
    """Names that are defined anywhere in src/tailrace, with their class and without it."""
    names = {name for path in MODULES for name in defined_in(path)}
    return names | {name.rpartition(".")[2] for name in names}


@cache
def text_of(folder):
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py")))


def trouble_of_path(span):
    found = _PATH.fullmatch(span)
    if found is None:
        return "is no path"
    pattern = found["path"].replace("NAME", "*").replace("NNNN", "*").rstrip("/")
    found_there = (place for root in (ROOT, SOURCE) for place in root.glob(pattern))
    places = [place for place in found_there if "*" not in pattern or place.name != "__init__.py"]
    if not places:
        return "isn't there"
    if found["name"] and not all(found["name"] in defined_in(place) for place in places):
        return "isn't defined there"
    return ""


def trouble_of_command(span):
    program, *words = span.split()
    if program == "make":
        return "" if set(words) <= defined_in(ROOT / "Makefile") else "is no target"
    if program == "tailrace":
        verbs = {name for path in (SOURCE / "cli").glob("*.py") for name in defined_in(path)}
        return "" if words[0] in verbs else "is no verb"
    if program in {"git", "head"} or program.startswith(".venv/bin/"):
        return next(filter(None, (trouble_of_path(word) for word in words if _FILE_ENDING.search(word))), "")
    return "is no command"


def trouble_of(span):
    """Why what stands in backticks isn't there; empty where it is."""
    if " " in span:
        return trouble_of_command(span)
    if "/" in span or _FILE_ENDING.search(span):
        return trouble_of_path(span)
    if "=" in span:
        return "" if f'"{span.partition("=")[0]}"' in text_of(ROOT / "tests") else "is no variable"
    if "-" in span:
        return "" if f'"{span}"' in text_of(SOURCE) or span == "tailrace-native" else "is no option and no thread"
    return "" if span in known_words() else "is defined nowhere"


def lost(text):
    """What a page names in backticks, and files in its drawings and commands, that isn't there; with the reason."""
    drawn = [span for block in _FENCE.findall(text) for span in _FILE_IN_TEXT.findall(block)]
    commands = [
        line.strip() for block in _FENCE.findall(text) for line in re.findall(r"^make \w+", block, re.MULTILINE)
    ]
    spans = [*re.findall(r"`([^`\n]+)`", _FENCE.sub("", text)), *drawn, *commands]
    return {span: trouble for span in dict.fromkeys(spans) if (trouble := trouble_of(span))}


def folders():
    """Every folder of the package and module beside them, the folders of the tests, and those of the project."""
    files = [path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    package = {path.parent for path in files} - {SOURCE} | set(SOURCE.glob("*.py"))
    tests = {path.parent for path in (ROOT / "tests").glob("*/*.py")}
    project = {ROOT / name for name in ("bench", "docs", "examples", "native", "scripts", "services", "src", "tests")}
    return sorted(package | tests | project)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_everything_that_a_map_names_is_there(page):
    assert lost(page.read_text(encoding="utf-8")) == {}


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_every_file_that_a_page_for_users_names_is_there(page):
    spans = re.findall(r"`([^`\s]+\.(?:py|rs|md|toml)(?::\w+)?)`", page.read_text(encoding="utf-8"))
    assert {span: trouble for span in spans if (trouble := trouble_of_path(span))} == {}


@pytest.mark.parametrize("path", folders(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_folder_of_the_project_and_module_of_the_package_is_on_the_map(path):
    spans = {span.rstrip("/") for span in re.findall(r"`([^`\n]+)`", MAP.read_text(encoding="utf-8"))}
    assert {str(path.relative_to(root)) for root in (ROOT, SOURCE) if path.is_relative_to(root)} & spans


def test_a_question_is_answered_by_a_file_and_a_name_in_it():
    table = MAP.read_text(encoding="utf-8").partition("## Where to look for what")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?\?) \| (.+) \|$", table, re.MULTILINE)
    assert len(rows) >= 20
    assert [question for question, answer in rows if not re.search(r"`[\w./]+:\w+", answer)] == []


THERE = [
    "runtime/drain.py:Drain.put",
    "src/tailrace/lake/",
    "lake/",
    "destinations/NAME.py:TRAITS",
    "native/src/split.rs:split",
    "Makefile:check",
    "Drain.put",
    "is_transient",
    "tailrace-drain",
    "--pipeline",
    "SERVICES_REQUIRED=1",
    "docs/adr/NNNN-NAME.md",
    "native/Cargo.toml:rust-version",
    "make check",
    "tailrace plan",
    "git log",
    "head lake/*.py",
    ".venv/bin/python docs/generate.py",
]
NOT_THERE = [
    "runtime/drian.py",
    "runtime/drain.py:Drain.putt",
    "lak/",
    "destinations/NAME.py:Drain",
    "native/src/split.rs:Drain",
    "Makefile:chekc",
    "Drain.putt",
    "Drian",
    "tailrace-drian",
    "--pipline",
    "SERVICES_REQIRED=1",
    "docs/adr/NNNN-NAME.rst",
    "native/Cargo.toml:rust-versoin",
    "make chekc",
    "tailrace plna",
    "gti log",
    "head lak/*.py",
    ".venv/bin/python docs/genrate.py",
]


@pytest.mark.parametrize("span", THERE)
def test_what_is_there_is_found(span):
    assert lost(f"It is in `{span}`.") == {}


@pytest.mark.parametrize("span", NOT_THERE)
def test_what_is_not_there_is_told(span):
    assert [*lost(f"It is in `{span}`.")] == [span]


def test_files_in_drawings_and_commands_are_looked_at_too():
    page = "```\na -> runtime/sink.py:Sink -> runtime/sunk.py\n```\n\n```bash\nmake chekc\nmake check\n```\n"
    assert [*lost(page)] == ["runtime/sunk.py", "make chekc"]
