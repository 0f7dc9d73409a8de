"""The SQL kit knows no database by its name, and what varies is put together instead of overridden."""

import ast
import inspect
import pkgutil
import re
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import tailrace

KIT = Path(tailrace.__file__).parent / "sql"
DATABASES = re.compile("mysql|mariadb|redshift|postgres|duckdb|sqlite|snowflake|bigquery", re.IGNORECASE)

DOORS = {
    "destinations.iceberg.catalog.FileIO": {"_initialize_local_fs", "_initialize_s3_fs"},
    "destinations.iceberg.journal._Only": {"_deleted_entries", "_existing_manifests"},
    "destinations.iceberg.table._Overwriting": {"_existing_manifests"},
    "destinations.mysql.connection.Connection": {
        "_add_default_conn_attrs",
        "_do_handshake",
        "_get_connection",
        "_handle_load_data_infile",
        "_open_connection",
    },
}
"""Private methods of libraries that have no public door where we need one, by our class that overrides them."""


def named(text):
    """The lines of a module that have a database's name in them, outside of docstrings."""
    tree, lines = ast.parse(text), text.splitlines()
    for node in ast.walk(tree):
        holds_docstring = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if holds_docstring and ast.get_docstring(node) is not None:
            docstring = node.body[0]
            lines[docstring.lineno - 1 : docstring.end_lineno] = [""] * (docstring.end_lineno - docstring.lineno + 1)
    return [line for line in lines if DATABASES.search(line)]


def overridden(classes):
    """The private methods that classes of ours override, by class."""
    found = {}
    for each in classes:
        above = {name for base in each.__mro__[1:] for name, value in vars(base).items() if inspect.isroutine(value)}
        private = {name for name in vars(each).keys() & above if name.startswith("_") and not name.endswith("_")}
        if private:
            found[f"{each.__module__}.{each.__qualname__}".removeprefix("tailrace.")] = private
    return found


def classes_of_ours():
    members = []
    for info in pkgutil.walk_packages(tailrace.__path__, "tailrace."):
        with suppress(ModuleNotFoundError):  # of what isn't installed everywhere: the native decoder
            members += [each for each in vars(import_module(info.name)).values() if inspect.isclass(each)]
    return [each for each in dict.fromkeys(members) if each.__module__.startswith("tailrace.")]


def test_the_kit_knows_no_database_by_its_name():
    assert {path.name: lines for path in KIT.rglob("*.py") if (lines := named(path.read_text("utf-8")))} == {}


def test_a_name_is_found_in_code_and_in_comments_and_docstrings_may_have_examples():
    text = '"""As in `sqlite:///x`."""\nx = "duckdb"  # as MySQL\n'
    text += 'def f():\n    """Postgres."""\n    return 1  # redshift\n'
    assert named(text) == ['x = "duckdb"  # as MySQL', "    return 1  # redshift"]


def test_no_private_method_is_overridden_but_where_a_library_has_no_other_door():
    assert overridden(classes_of_ours()) == DOORS


def test_a_private_method_that_is_overridden_is_found():
    class One:
        def _done(self): ...

        def __len__(self): ...

    class Two(One):
        def _done(self): ...

        def __len__(self): ...

        def _more(self): ...

    assert [*overridden([One, Two]).values()] == [{"_done"}]
