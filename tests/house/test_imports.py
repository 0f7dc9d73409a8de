"""Who may import whom, as a table; what is imported at all when tailrace is; and where drivers are."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "tailrace"
MODULES = sorted(SOURCE.rglob("*.py"))

KITS = {"sql", "objects", "lake", "documents", "spool", "checkpoint_files"}
BOTTOM = {
    "alone",
    "tunnels",
    "installed",
    "native",
    "errors",
    "log",
    "config",
    "model",
    "pipelines",
    "blocks",
    "compute",
    "disk",
    "scratch",
}
ALLOWED = {
    "errors": set(),
    "log": set(),
    "alone": set(),
    "compute": {"alone"},
    "disk": set(),
    "scratch": {"disk"},
    "blocks": set(),
    "pipelines": set(),
    "installed": set(),
    "native": set(),
    "tunnels": {"errors", "installed"},
    "model": {"errors", "pipelines", "blocks"},
    "config": {"errors", "log", "model", "pipelines"},
    "destination": {"model", "errors", "functions"},  # `@tailrace.destination` is the module, which calls it
    "spool": {"model", "errors", "scratch"},
    "checkpoint_files": {"model", "errors", "log", "disk"},
    "functions": BOTTOM | {"destination", "schema", "spool", "checkpoint_files"},
    "singer": BOTTOM,
    "schema": BOTTOM,
    "decode": BOTTOM | {"schema"},
    "sql": BOTTOM | {"destination", "schema", "spool"},
    "objects": BOTTOM,
    "lake": BOTTOM | {"destination", "schema", "decode", "sql", "objects"},
    "documents": BOTTOM | {"destination", "schema", "spool"},
    "destinations": BOTTOM
    | {"destination", "schema", "sql", "objects", "lake", "documents", "spool", "checkpoint_files"},
    "runtime": BOTTOM | {"singer", "schema", "decode", "destination"},
    "parallel": BOTTOM | {"singer", "destination", "runtime"},
    "inputs": BOTTOM | {"singer", "schema", "decode", "objects", "destination", "runtime", "parallel"},
    "testing": BOTTOM | {"singer", "schema", "decode", "destination", "runtime", "api"},
    "api": BOTTOM | {"singer", "schema", "destination", "destinations", "runtime", "inputs"},
    "cli": BOTTOM | {"singer", "schema", "decode", "destination", "destinations", "runtime", "inputs", "parallel"},
    "compat": BOTTOM
    | {"singer", "schema", "destination", "destinations", "runtime", "cli"}
    | {"spool", "checkpoint_files", "api"},
}
"""Part of the package -> the parts that it may import (itself always)."""

DRIVERS = {
    "asyncssh",
    "bson",
    "deltalake",
    "duckdb",
    "elastic_transport",
    "elasticsearch",
    "google",
    "grpc",
    "httpcore",
    "httpx",
    "mysql",
    "opensearchpy",
    "psycopg",
    "pyiceberg",
    "pymongo",
    "redshift_connector",
    "snowflake",
    "sqlalchemy",
    "sqlite3",
}
ENGINE = SOURCE / "lake" / "engine.py"
"""DuckDB isn't a destination there: rows are merged in its tables."""


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    """The full names of all that a file of the package imports."""
    return imported_by(path.read_text(encoding="utf-8"), ".".join(path.relative_to(SOURCE.parent).parent.parts))


def imported_by(text: str, package: str) -> set[str]:
    """The full names of all that the text of a module in that package imports, at its top or later."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def forbidden(part: str, names: set[str]) -> set[str]:
    """The parts of the package among imported names that the table doesn't allow this part."""
    parts = {name.split(".")[1] for name in names if name.startswith("tailrace.")} - {"__version__"}
    return parts - {part} - ALLOWED[part]


@pytest.mark.parametrize(
    "path", [m for m in MODULES if m != SOURCE / "__init__.py"], ids=lambda p: str(p.relative_to(SOURCE))
)
def test_a_module_imports_only_what_the_table_allows(path):
    assert forbidden(part_of(path), imported(path)) == set()


def test_the_table_has_every_part_and_no_other():
    parts = {part_of(path) for path in MODULES} - {"__init__"}
    assert set(ALLOWED) == parts
    assert set().union(*ALLOWED.values()) <= parts


@pytest.mark.parametrize(
    "line",
    [
        "import tailrace.destinations.duckdb",
        "import tailrace.destinations as d",
        "from tailrace import destinations",
        "from tailrace.destinations import duckdb",
        "from .. import destinations",
        "from ..destinations import duckdb",
        "def later():\n    from tailrace.destinations.duckdb import Settings",
        "if TYPE_CHECKING:\n    from tailrace.destinations.duckdb import Settings",
    ],
)
def test_an_import_that_the_table_does_not_allow_is_found(line):
    names = imported_by(
        f"from tailrace.errors import ConfigError\nfrom .reader import Reader\n{line}", "tailrace.singer"
    )
    assert forbidden("singer", names) == {"destinations"}
    assert forbidden("cli", names) == set()


def destination_of(path: Path) -> str:
    """The destination that a file is of: a module, or one within a package."""
    return path.relative_to(SOURCE / "destinations").with_suffix("").parts[0]


@pytest.mark.parametrize(
    "path", sorted((SOURCE / "destinations").rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE / "destinations"))
)
def test_a_destination_imports_no_other_destination(path):
    found = {name.split(".")[2] for name in imported(path) if name.startswith("tailrace.destinations.")}
    others = {destination_of(p) for p in (SOURCE / "destinations").rglob("*.py")} - {destination_of(path), "__init__"}
    assert not others & found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_drivers_are_imported_by_their_destination_alone(path):
    drivers = {name.split(".")[0] for name in imported(path)} & DRIVERS
    is_in_its_place = path.is_relative_to(SOURCE / "destinations") or (path == ENGINE and drivers == {"duckdb"})
    assert not drivers or is_in_its_place


def test_importing_tailrace_loads_no_driver_and_hardly_anything_else():
    script = "import sys; old = set(sys.modules); import tailrace, json; print(json.dumps([*{*sys.modules} - old]))"
    loaded = json.loads(
        subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout
    )
    assert not {name.split(".")[0] for name in loaded} & (
        DRIVERS | {"pyarrow", "pydantic", "sqlglot", "joblib", "typer", "rich"}
    )
    assert [name for name in loaded if name.startswith("tailrace")] == ["tailrace"]


def test_every_public_name_of_the_package_can_be_imported():
    import tailrace  # noqa: PLC0415 the test is about importing it

    for name in tailrace.__all__:
        assert getattr(tailrace, name) is not None


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    import tailrace  # noqa: PLC0415 the test is about importing it

    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = tailrace.lod


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_how_a_run_without_a_pipeline_is_named_stands_in_one_place(path):
    spelled = re.findall(r"""(?:startswith|removeprefix)\(["']~|f["']~\{""", path.read_text(encoding="utf-8"))
    assert not spelled


KITS = ("sql", "lake", "objects", "destinations")
WIRE = {"tailrace.singer", "tailrace.blocks", "tailrace.decode.records", "tailrace.model.RecordBlock"}


@pytest.mark.parametrize("path", [m for m in MODULES if part_of(m) in KITS], ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_kit_builds_a_line_of_singer(path):
    texts = [str(n.value) for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Constant)]
    assert not [text for text in texts if re.search(r'"RECORD"|"STATE"|"SCHEMA"|"record":|^RECORD$', text)]
    assert not imported(path) & WIRE


UNNEEDED = {
    "asyncio",
    "cloudpickle",
    "http",
    "joblib",
    "jsonschema_rs",
    "numpy",
    "pandas",
    "sqlglot",
    "ssl",
    "tenacity",
    "tomllib",
}
UNNEEDED |= {"boto3", "unittest", "yaml", "zstandard"}
"""What no small load needs, wherever it is installed."""
OF_OTHERS = {"tailrace.lake", "tailrace.objects", "tailrace.cli.inspecting", "tailrace.cli.upkeep"}
SMALL = """\
{"type": "SCHEMA", "stream": "s", "schema": {"properties": {"at": {"type": "string", "format": "date-time"}}}}
{"type": "RECORD", "stream": "s", "record": {"at": "2024-01-02T03:04:05Z"}}
{"type": "STATE", "value": {"s": 1}}
"""
STARTED = """
import atexit, json, sys
from pathlib import Path
from tailrace.cli import main
atexit.register(lambda: Path("modules").write_text(json.dumps([*sys.modules])))
main()
"""


def modules_of(folder, *words, sent=""):
    """All modules that a command has imported at its end, without those that would count its branches."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_"))}
    environ["PYTHONPATH"] = str(SOURCE.parent)
    command = [sys.executable, "-c", STARTED, *words]
    subprocess.run(command, cwd=folder, env=environ, input=sent.encode(), capture_output=True, check=True)
    return set(json.loads((folder / "modules").read_text(encoding="utf-8")))


@pytest.mark.parametrize("sent", ["", SMALL, "id,n\n1,2.5\n"], ids=["empty", "small", "csv"])
def test_a_load_into_duckdb_imports_nothing_that_it_has_no_use_for(sent, tmp_path):
    (tmp_path / "input").write_text(sent, encoding="utf-8")
    loaded = modules_of(tmp_path, "load", "input", "--to", "duckdb:///x.duckdb")
    assert "duckdb" in loaded
    assert not loaded & (UNNEEDED | OF_OTHERS)
    assert {name for name in loaded if re.fullmatch(r"tailrace\.destinations\.\w+", name)} == {
        "tailrace.destinations.duckdb"
    }


def test_a_load_of_stdin_imports_nothing_that_reads_files_nor_what_starts_taps(tmp_path):
    loaded = modules_of(tmp_path, "load", "--to", "duckdb:///x.duckdb", sent=SMALL)
    assert {name for name in loaded if name.startswith("tailrace.inputs.")} == {
        f"tailrace.inputs.{name}" for name in ("batches", "formats", "loaded", "places", "roots")
    }
    assert not loaded & {"tailrace.parallel", "tailrace.singer.tap", "tailrace.cli.loading_files"}


def test_a_load_into_files_of_this_machine_imports_nothing_of_aws_nor_of_databases(tmp_path):
    (tmp_path / "input").write_text(SMALL, encoding="utf-8")
    loaded = modules_of(tmp_path, "load", "input", "--to", "files:out")
    assert "obstore" in loaded
    assert not loaded & {"boto3", "botocore", "duckdb", "numpy", "pandas", "pyarrow.compute", "sqlglot"}


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_the_version_and_the_verbs_are_told_without_what_loads(option, tmp_path):
    loaded = modules_of(tmp_path, option)
    assert not {name.split(".")[0] for name in loaded} & {"pyarrow", "pydantic", "duckdb", "sqlglot", "rich"}
    assert not loaded & {"tailrace.config", "tailrace.model", "tailrace.runtime"}


def test_sqlglot_is_imported_late_and_in_one_place():
    assert [path.name for path in MODULES if "sqlglot" in {name.split(".")[0] for name in imported(path)}] == [
        "glot.py"
    ]
