"""Wheels and source distributions are sound, and do in a clean environment what the container's steps do with them."""

import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from trusting import trusting_all

ROOT = Path(__file__).parents[2]
ORDERS = ROOT / "examples" / "orders.singer"
COUNT = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM orders').fetchone()[0])"


def run(*command, **more):
    clean = {name: value for name, value in trusting_all().items() if not name.startswith(("PYTHON", "COV_"))}
    clean["PIP_NO_COMPILE"] = "1"  # what is imported is compiled then
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=clean | more)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dists(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dists")
    run("scripts/build-dists", str(folder), PYTHON=sys.executable)
    return folder


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """The Python of an environment that has nothing but pip."""
    home = tmp_path_factory.mktemp("clean")
    venv.create(home, with_pip=True)
    return home / "bin" / "python"


def named(dists, pattern):
    return [path.name for path in dists.iterdir() if re.fullmatch(pattern, path.name)]


HAS_RUST = subprocess.run(["bash", "scripts/has-rust"], cwd=ROOT, capture_output=True, check=False).returncode == 0


def test_there_is_a_wheel_and_a_source_of_both_and_the_native_wheel_is_for_every_python_from_3_11(dists):
    assert named(dists, r"tailrace-[\d.]+-py3-none-any\.whl")
    assert named(dists, r"tailrace-[\d.]+\.tar\.gz")
    if HAS_RUST:
        assert named(dists, r"tailrace_native-[\d.]+-cp311-abi3-\w+\.whl")
        assert named(dists, r"tailrace_native-[\d.]+\.tar\.gz")


def test_they_are_fit_to_be_published(dists):
    files = [str(path) for path in dists.iterdir() if path.suffix in {".whl", ".gz"}]
    said = run(sys.executable, "-m", "twine", "--no-color", "check", "--strict", *files)
    assert said.count("PASSED") == len(files) >= 2


def test_they_have_what_belongs_to_them_and_no_more(dists):
    (source,) = dists.glob("tailrace-*.tar.gz")
    with tarfile.open(source) as archive:
        tops = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    assert tops == {
        "src",
        "docs",
        "examples",
        "CHANGELOG.md",
        "README.md",
        "LICENSE",
        "pyproject.toml",
        "PKG-INFO",
        ".gitignore",
    }
    (wheel,) = dists.glob("tailrace-*.whl")
    modules = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*.py")}
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if name.endswith(".py")} == modules
    assert source.stat().st_size < 2**21
    assert wheel.stat().st_size < 2**21


@pytest.mark.parametrize("kind", ["whl", "tar.gz"])
def test_they_load_in_a_clean_environment(dists, clean, kind, tmp_path):
    run(str(clean), "-m", "pip", "uninstall", "--quiet", "--yes", "tailrace", "tailrace-native")
    run("scripts/install-dists", str(clean), str(dists), kind, "")
    tailrace = str(clean.with_name("tailrace"))
    assert run(tailrace, "--version").startswith("tailrace ")
    for to in (f"sqlite:///{tmp_path}/orders.db", f"duckdb:///{tmp_path}/orders.duckdb"):
        run(tailrace, "load", str(ORDERS), "--to", to)
    for name in ("a", "b"):
        (tmp_path / f"{name}.singer").write_bytes(ORDERS.read_bytes())
    files = [f"sqlite:///{tmp_path}/two.db", "--set", "parallel.backend=loky", "--set", "parallel.workers=2"]
    run(tailrace, "load", f"{tmp_path}/*.singer", "--to", *files)
    run(tailrace, "load", str(ORDERS.with_name("people.csv")), "--to", f"sqlite:///{tmp_path}/people.db")
    assert int(run(str(clean), "-c", COUNT, str(tmp_path / "orders.db"))) > 0
    decoder = "from tailrace.decode import IS_NATIVE; print(IS_NATIVE)"
    assert run(str(clean), "-c", decoder).strip() == str(HAS_RUST)


def test_the_container_is_made_by_the_same_scripts():
    steps = re.findall(r"^RUN (.*)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert "PYTHON=/build/bin/python scripts/build-dists /dists" in steps
    assert '/tailrace/scripts/install-dists python /dists whl "[all]"' in steps
