"""Workers of every backend that die in the middle of an input: all rows are there, once, in the order of inputs."""

import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from deadly_inputs import DEATHS, FILES, ROWS, inputs_in, load_by
from loads import a_place
from test_checkpoints import SERVERS

ALONE = ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"]
"""A Ray cluster of this machine listens on all of its networks; here there is none but the loopback."""


def assert_exact(place, read, told):
    """Assert that every row is there once, as the last input has it, and that states were told in order."""
    assert sorted(path.name for path in place.folder.glob("*.died*")) == [f"{number}.died0" for number in DEATHS]
    rows = [(row["id"], row["file"]) for row in place.rows("things")]
    assert sorted(rows) == [(n, min(n // (ROWS // 2), FILES - 1)) for n in range((FILES + 1) * ROWS // 2)]
    assert read == FILES * ROWS
    assert told == sorted(told)
    assert told[-1] == FILES - 1


@pytest.mark.parametrize(("backend", "kind"), [("loky", "postgres"), ("loky", "duckdb"), ("dask", "delta")])
def test_an_input_whose_worker_is_killed_is_loaded_once(backend, kind, request):
    server = request.getfixturevalue(f"{kind}_server") if kind in SERVERS else None
    with a_place(kind, server) as place:
        report = load_by(backend, place.url, inputs_in(place.folder), place.told.append)
        assert_exact(place, report.total.read, [json.loads(state)["file"] for state in place.told])
        assert report.total.uncommitted == 0


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("ip"), reason="only root can part networks")
@pytest.mark.parametrize("kind", ["delta"])
def test_an_input_whose_ray_worker_is_killed_is_loaded_once(kind):
    with a_place(kind) as place:
        script = Path(__file__).with_name("deadly_inputs.py")
        command = [*ALONE, sys.executable, str(script), "ray", place.url, str(place.folder)]
        more = {"RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_TMPDIR": str(place.folder)}
        environment = {**os.environ, **more, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, capture_output=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr.decode()
        report = json.loads(done.stdout.splitlines()[-1])
        assert_exact(place, report["read"], [state["file"] for state in report["told"]])
        assert report["uncommitted"] == 0
