"""How Rust is written: short files that say what they are, unsafe code with its reason, exact versions of crates."""

import re
import subprocess
import tomllib
from itertools import takewhile
from pathlib import Path
from runpy import run_path

import pytest

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "native"
FILES = sorted(path for path in NATIVE.rglob("*.rs") if "target" not in path.relative_to(NATIVE).parts)
MANIFESTS = sorted(path for path in NATIVE.rglob("Cargo.toml") if "target" not in path.relative_to(NATIVE).parts)
MAX_LINES = 400


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_has_at_most_400_lines_and_says_what_it_is_in_its_first_one(path):
    first, *others = path.read_text(encoding="utf-8").splitlines()
    assert len(others) < MAX_LINES
    assert first.startswith("//! ")


def without_reason(text: str) -> list[int]:
    """The numbers of lines with unsafe code that no comment directly above says to be sound."""
    lines = text.splitlines()
    found = []
    for at, line in enumerate(lines):
        if re.search(r"\bunsafe\b", line.partition("//")[0]):
            above = takewhile(lambda other: other.strip().startswith("//"), reversed(lines[:at]))
            if not any(other.strip().startswith("// SAFETY: ") for other in above):
                found.append(at + 1)
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_unsafe_code_has_a_comment_above_that_says_why_it_is_sound(path):
    assert without_reason(path.read_text(encoding="utf-8")) == []


def test_unsafe_code_without_its_reason_is_found():
    unsafe = "    unsafe { read(at) }\n"
    assert without_reason(unsafe) == [1]
    assert without_reason(f"    // It is fast.\n{unsafe}") == [2]
    assert without_reason(f"    // SAFETY: at is inside.\n\n{unsafe}") == [3]
    assert without_reason(f"    // SAFETY: at is inside,\n    // always.\n{unsafe}") == []
    assert without_reason("#![forbid(unsafe_code)] // nothing unsafe\n") == []


@pytest.mark.parametrize("path", MANIFESTS, ids=name_of)
def test_crates_are_had_at_exact_versions(path):
    manifest = tomllib.loads(path.read_text(encoding="utf-8"))
    places = [manifest, *manifest.get("target", {}).values()]
    loose = {}
    for place in places:
        for kind in ("dependencies", "dev-dependencies", "build-dependencies"):
            for name, wanted in place.get(kind, {}).items():
                source = {"version": wanted} if isinstance(wanted, str) else wanted
                if "path" not in source and not source.get("version", "").startswith("="):
                    loose[name] = wanted
    assert loose == {}


def test_no_lock_file_of_crates_is_kept():
    git = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "*Cargo.lock"]
    assert subprocess.run(git, cwd=ROOT, capture_output=True, check=True, text=True).stdout == ""


def test_cases_of_the_decoders_are_seeds_of_both_fuzz_targets():
    seeds = list(run_path(str(NATIVE / "fuzz" / "seeds.py"))["seeds"]())
    assert {target for target, _ in seeds} == {"decoder", "reader"}
    assert all(seed.endswith(b"\n") for _, seed in seeds)
