"""Inheritance is at most two deep, and from one class: names are looked up as Python does, by what modules import."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
DEEPEST = 2
"""How many classes of ours may be above one of ours, counted up to the topmost; those of libraries don't count."""

KNOWN = {"tailrace.destinations.files.Settings": 3}
"""Settings of files are those of lakes, which are those of object stores, which are those of AWS."""

SHAPES = {"typing.Generic", "typing.Protocol"}
"""They say what a class is, and leave it nothing."""


def classes_of(modules):
    """The classes of modules, given by name with their text: by full name, each with the full names of its bases."""
    trees = {module: ast.parse(text) for module, text in modules.items()}
    handed_on = {f"{module}.{name}": full for module, tree in trees.items() for name, full in _imported(tree).items()}

    def home(name):
        while name in handed_on:
            name = handed_on[name]
        return name

    return {
        name: [base for base in map(home, bases) if base not in SHAPES]
        for module, tree in trees.items()
        for name, bases in _classes_below(module, tree, _imported(tree))
    }


def _imported(tree):
    """What the names that a module imports are."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.split(".")[0]: alias.asname and alias.name for alias in node.names}
    return names


def _classes_below(place, node, names):
    """The classes in a module, a class or a function; each sees those beside it."""
    inside = list(_statements(node))
    names = names | {each.name: f"{place}.{each.name}" for each in inside if isinstance(each, ast.ClassDef)}
    for each in inside:
        if isinstance(each, ast.ClassDef):
            yield f"{place}.{each.name}", [_full_name(base, names) for base in each.bases]
        if isinstance(each, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes_below(f"{place}.{each.name}", each, names)


def _statements(node):
    """The statements of a body, and of the blocks in it that have no names of their own."""
    for each in ast.iter_child_nodes(node):
        yield each
        if not isinstance(each, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.expr):
            yield from _statements(each)


def _full_name(base, names):
    if isinstance(base, ast.Subscript):
        return _full_name(base.value, names)
    if isinstance(base, ast.Attribute):
        return f"{_full_name(base.value, names)}.{base.attr}"
    return names.get(base.id) or base.id if isinstance(base, ast.Name) else ast.unparse(base)


def above(classes, name, path=()):
    """How many of the classes are above one, up to the topmost."""
    assert name not in path, f"{name} is imported in a circle"
    return max((1 + above(classes, base, (*path, name)) for base in classes[name] if base in classes), default=0)


def too_deep(classes):
    """The classes that are too deep, each with how many are above it."""
    return {name: count for name in classes if (count := above(classes, name)) > DEEPEST}


def with_many_bases(classes):
    """The classes that have more than one."""
    return {name: bases for name, bases in classes.items() if len(bases) > 1}


def name_of(path):
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.fixture(scope="module")
def ours():
    """The classes of the package."""
    return classes_of({name_of(path): path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")})


def test_inheritance_is_at_most_two_deep(ours):
    assert too_deep(ours) == KNOWN


def test_a_class_has_one_base(ours):
    assert with_many_bases(ours) == {}


A = "class Base: ...\nclass One(Base): ..."
B = "import a\nfrom a import One as Other\nclass Base(a.One): ...\nclass Two(Other): ..."


def test_a_class_that_is_too_deep_is_found_through_modules_and_other_names():
    assert too_deep(classes_of({"a": A, "b": B})) == {}
    assert too_deep(classes_of({"a": A, "b": B, "c": "from b import Two\nclass Three(Two): ..."})) == {"c.Three": 3}
    assert too_deep(classes_of({"a": A, "b": B, "c": "import b as x\nclass Three(x.Base[int]): ..."})) == {"c.Three": 3}
    package = {"a": A, "b": B, "p": "from b import Two as Given", "c": "from p import Given\nclass Three(Given): ..."}
    assert too_deep(classes_of(package)) == {"c.Three": 3}
    assert too_deep(classes_of({"a": A, "b": f"{B}\ndef f():\n    class In(Two): ..."})) == {"b.f.In": 3}
    assert too_deep(classes_of({"a": f"{A}\nif A:\n    class C(One):\n        class D(C): ..."})) == {"a.C.D": 3}


def test_classes_of_one_name_are_kept_apart():
    classes = classes_of({"a": A, "b": "class One: ...\nclass Base(One): ..."})
    assert [above(classes, name) for name in ("a.One", "b.One", "b.Base")] == [1, 0, 1]


def test_a_mixin_is_found_and_what_only_says_a_shape_is_none():
    shaped = "from typing import Generic, Protocol as P, T\nclass A(Generic[T]): ...\nclass B(A, P): ...\n"
    assert with_many_bases(classes_of({"a": shaped})) == {}
    assert with_many_bases(classes_of({"a": f"{shaped}class C(B, A): ..."})) == {"a.C": ["a.B", "a.A"]}
