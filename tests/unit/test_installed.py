"""What brings an extra with it, for each way in which tailrace is installed."""

import json
from importlib.metadata import Distribution

import pytest

from tailrace.installed import advice_on_extra

INDEX = None
CHECKOUT = {"url": "file:///home/a%20b/tailrace", "dir_info": {"editable": True}}
FOLDER = {"url": "file:///src/tailrace", "dir_info": {}}
WHEEL = {"url": "file:///dists/tailrace-0.1.0-py3-none-any.whl", "archive_info": {}}
GIT = {"url": "https://example.com/tailrace.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}


@pytest.fixture
def installed(tmp_path):
    """An entry of tailrace as installers write it."""

    def make(origin, installer):
        (tmp_path / "METADATA").write_text("Metadata-Version: 2.1\nName: tailrace\nVersion: 0.1.0\n")
        (tmp_path / "INSTALLER").write_text(f"{installer}\n")
        if origin:
            (tmp_path / "direct_url.json").write_text(json.dumps(origin))
        return Distribution.at(tmp_path)

    return make


@pytest.mark.parametrize(
    ("prefix", "origin", "installer", "advice"),
    [
        ("/home/a/venv", INDEX, "pip", "pip install 'tailrace[postgres]'"),
        ("/home/a/venv", INDEX, "uv", "uv pip install 'tailrace[postgres]'"),
        ("/home/a/venv", CHECKOUT, "pip", "pip install --editable '/home/a b/tailrace[postgres]'"),
        ("/home/a/venv", FOLDER, "pip", "pip install '/src/tailrace[postgres]'"),
        ("/home/a/venv", WHEEL, "pip", "pip install '/dists/tailrace-0.1.0-py3-none-any.whl[postgres]'"),
        ("/home/a/venv", GIT, "pip", "pip install 'tailrace[postgres] @ https://example.com/tailrace.git'"),
        ("/home/a/.local/share/pipx/venvs/tailrace", INDEX, "pip", "pipx install --force 'tailrace[postgres]'"),
        ("/home/a/.local/share/uv/tools/tailrace", INDEX, "uv", "uv tool install --force 'tailrace[postgres]'"),
        (
            "/p/.meltano/loaders/target-tailrace/venv",
            INDEX,
            "uv",
            "set `pip_url: 'tailrace[postgres]'` for the plugin in meltano.yml, and run `meltano install`",
        ),
    ],
)
def test_the_advice_suits_the_way_of_installing(installed, prefix, origin, installer, advice):
    found = installed(origin, installer)
    assert advice_on_extra("postgres", prefix=prefix, environ={}, found=found) == advice


def test_a_container_has_all_extras():
    environ = {"TAILRACE_INSTALLED_BY": "container"}
    assert advice_on_extra("postgres", environ=environ) == "build the image anew, since it has all extras"


def test_this_checkout_is_installed_as_it_is():
    assert advice_on_extra("postgres", environ={}).startswith(("pip install --editable ", "uv pip install --editable "))
