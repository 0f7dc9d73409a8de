"""Nouns are made by msgspec, which takes no time at a start, unless others have them in hand or they keep a secret."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "tailrace"

OTHERS_HAVE = {"model.py", "blocks.py", "runtime/report.py"}
"""The nouns of the contract and of the API, which are dataclasses; so is all in testing/."""

HIDDEN = {"repr", "compare"}
"""What a dataclass says of a field, and a Struct can't."""


def needless(text):
    """The dataclasses that could be Structs."""
    classes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]
    return [each.name for each in classes if _is_dataclass(each) and not _hides_a_field(each)]


def _is_dataclass(node):
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def _hides_a_field(node):
    values = [each.value for each in node.body if isinstance(each, ast.AnnAssign)]
    calls = [value for value in values if isinstance(value, ast.Call)]
    return any(keyword.arg in HIDDEN for call in calls for keyword in call.keywords)


def test_a_noun_is_a_struct_unless_others_have_it_or_it_hides_a_field():
    modules = {str(path.relative_to(SOURCE)): path for path in SOURCE.rglob("*.py") if path.parent.name != "testing"}
    found = {name: needless(path.read_text(encoding="utf-8")) for name, path in modules.items()}
    assert {name for name, classes in found.items() if classes} == OTHERS_HAVE


def test_a_dataclass_that_could_be_a_struct_is_found():
    plain = "@dataclass(frozen=True, slots=True)\nclass A:\n    a: int = field(default=1)\n"
    assert needless(plain) == ["A"]
    assert needless(plain.replace("default=1", "repr=False")) == []
    assert needless("class A(Struct, frozen=True):\n    a: int\n") == []
