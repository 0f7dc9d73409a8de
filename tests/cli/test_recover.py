"""A decided checkpoint that one table can't take any more: what `recover` says, saves, and lets go on."""

import json
import shlex
import subprocess
import sys
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import run
from deltalake import DeltaTable
from pyiceberg.catalog import load_catalog
from pyiceberg.transforms import BucketTransform
from stopping import StoppedError, stop, when_entered

from tailrace.destinations import open_destination
from tailrace.errors import CommitUnknownError, DestinationError
from tailrace.lake.entries import Entry
from tailrace.lake.following import Followed
from tailrace.model import TableName
from tailrace.testing.messages import INT, TEXT, records, schema, state
from tailrace.testing.parts import batch, checkpoint, stream

ROW = {"id": INT, "name": TEXT}
PIPELINE = "nightly"


class Delta:
    """A lake of Delta tables."""

    def __init__(self, root):
        self.root, self.address = root, f"delta://{root}"

    def spoil(self, table):
        """Have a table that nothing may be removed from."""
        DeltaTable(f"{self.root}/{table}").alter.set_table_properties({"delta.appendOnly": "true"})

    def mend(self, table):
        DeltaTable(f"{self.root}/{table}").alter.set_table_properties({"delta.appendOnly": "false"})

    def rows(self, table):
        return pa.table(DeltaTable(f"{self.root}/{table}").to_pyarrow_table()).sort_by("id").to_pylist()


class Iceberg:
    """A catalog of Iceberg tables."""

    def __init__(self, root):
        self.root, self.address = root, f"iceberg+sqlite:///{root}/catalog.db?warehouse=file://{root}"
        root.mkdir()

    def _table(self, name):
        return load_catalog("default", type="sql", uri=f"sqlite:///{self.root}/catalog.db").load_table(
            f"default.{name}"
        )

    def spoil(self, table):
        """Have a table that is partitioned as tailrace doesn't write it."""
        with self._table(table).update_spec() as update:
            update.add_field("id", BucketTransform(4), "bucket")

    def mend(self, table):
        with self._table(table).update_spec() as update:
            update.remove_field("bucket")

    def rows(self, table):
        return self._table(table).scan().to_arrow().sort_by("id").to_pylist()


@pytest.fixture(params=[Delta, Iceberg], ids=["delta", "iceberg"])
def lake(request, tmp_path):
    return request.param(tmp_path / "lake")


@pytest.fixture
def tailrace(lake, tmp_path):
    """Runs a command on the lake, in a fresh folder."""

    where = ("--to", lake.address, "--pipeline", PIPELINE, "--set", "retry_s=5")

    def run_on_it(*words, lines=()):
        done = run(*words, *where, cwd=tmp_path, stdin="\n".join(map(json.dumps, lines)).encode())
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
        return done

    return run_on_it


def loaded(name, *rows):
    """A stream of these rows, and a state behind them."""
    found = [{"id": number, "name": text} for number, text in rows]
    return [schema(ROW, ["id"], name), *records(*found, stream=name), state({})]


@pytest.fixture
def stuck(lake, tailrace):
    """Two tables of which one is spoiled just when a checkpoint of both was decided."""
    first = [*loaded("bad", (1, "a")), *loaded("good", (1, "a"))]
    assert tailrace("load", lines=first).returncode == 0
    with closing(open_destination(lake.address, {})) as destination:
        number = destination.recover(PIPELINE).number + 1
        receipts = []
        for place, name in enumerate(("bad", "good")):
            one = stream(name=name, key=("id",))
            destination.prepare(one)
            receipts.append(
                destination.stage(batch(one, (1, "B"), (2, "b"), first_line=10 * place + 3, checkpoint=number))
            )

        when_entered(destination, stop)
        with pytest.raises(StoppedError):
            destination.commit(checkpoint(*receipts, number=number, pipeline=PIPELINE))
    lake.spoil("bad")
    return lake


NEW = [{"id": 1, "name": "B"}, {"id": 2, "name": "b"}]
OLD = [{"id": 1, "name": "a"}]


def test_other_tables_get_the_checkpoint_and_the_error_says_the_way_out(stuck, tailrace):
    done = tailrace("load", lines=loaded("good", (3, "c")))
    assert done.returncode == 6
    assert "the table " in done.stderr
    assert "bad lacks it" in done.stderr
    assert f"tailrace recover --pipeline {PIPELINE} --give-up " in done.stderr
    assert stuck.rows("good") == NEW
    assert stuck.rows("bad") == OLD


def test_the_way_out_can_be_pasted_into_a_shell_whatever_the_names_are():
    done = Followed(Entry("it's $x", 2, 1, "", 1), errors={TableName("a b"): DestinationError("no")})
    with pytest.raises(CommitUnknownError) as told:
        done.raise_for_errors(lambda _: False)
    command = str(told.value).partition("`")[2].partition("`")[0]
    assert shlex.split(command) == ["tailrace", "recover", "--pipeline", "it's $x", "--give-up", "a b"]


def test_a_setting_that_comes_too_late_is_not_the_way_out(stuck, tailrace):
    assert "method: append" not in tailrace("recover").stderr


def test_a_table_that_is_mended_gets_what_was_decided(stuck, tailrace):
    assert tailrace("recover").returncode == 6
    stuck.mend("bad")
    done = tailrace("recover")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Every table has checkpoint 2" in done.stdout
    assert stuck.rows("bad") == NEW


def test_what_is_given_up_is_told_and_saved_and_the_pipeline_goes_on(stuck, tailrace, tmp_path):
    done = tailrace("recover", "--give-up", "bad")
    assert (done.returncode, done.stderr) == (0, "")
    assert "bad lacks 2 rows of the stream 'bad' of checkpoint 2, from the input lines 3 to 4" in done.stdout
    saved = pa.concat_tables([pq.read_table(path) for path in (tmp_path / "given-up").rglob("*.parquet")])
    assert saved.select(["id", "name"]).sort_by("id").to_pylist() == NEW
    assert tailrace("load", lines=loaded("good", (3, "c"))).returncode == 0
    assert stuck.rows("good") == [*NEW, {"id": 3, "name": "c"}]
    assert stuck.rows("bad") == OLD
    stuck.mend("bad")
    assert tailrace("load", lines=loaded("bad", (2, "C"))).returncode == 0
    assert stuck.rows("bad") == [*OLD, {"id": 2, "name": "C"}]


def test_nothing_needs_to_be_saved(stuck, tailrace, tmp_path):
    done = tailrace("recover", "--give-up", "bad", "--no-save")
    assert done.returncode == 0
    assert "the rows are not saved" in done.stdout
    assert not (tmp_path / "given-up").exists()
    assert tailrace("recover").returncode == 0


def test_a_table_that_has_everything_can_not_be_given_up(stuck, tailrace):
    assert tailrace("load").returncode == 6  # which applies the checkpoint to `good`
    done = tailrace("recover", "--give-up", "good")
    assert done.returncode == 2
    assert "good lacks nothing of checkpoint 2" in done.stderr
    assert tailrace("recover").returncode == 6
    stuck.mend("bad")
    assert tailrace("recover").returncode == 0
    assert stuck.rows("bad") == NEW


def test_rows_that_can_not_be_saved_are_not_given_up(stuck, tailrace, tmp_path):
    (tmp_path / "given-up").write_text("a file stands there")
    done = tailrace("recover", "--give-up", "bad")
    assert done.returncode == 2
    assert "--save-to" in done.stderr
    stuck.mend("bad")
    assert tailrace("recover").returncode == 0
    assert stuck.rows("bad") == NEW


STILL_READING = """
import io, threading, time
import pyarrow as pa, pyarrow.parquet
from tailrace.cli.exit_codes import leave


class Slow(io.BytesIO):
    is_slow = False

    def read(self, *size):
        if self.is_slow:
            is_reading.set()
            time.sleep(0.5)
        return super().read(*size)


is_reading, made = threading.Event(), io.BytesIO()
pa.parquet.write_table(pa.table({"id": [1]}), made)
file = Slow(made.getvalue())
reader = pa.parquet.ParquetFile(file, pre_buffer=True)
file.is_slow = True
threading.Thread(target=reader.read, daemon=True).start()
is_reading.wait()
leave(4)
"""


def test_a_file_that_is_still_read_ahead_does_not_change_the_exit_code():
    assert subprocess.run([sys.executable, "-c", STILL_READING], check=False).returncode == 4


def test_a_checkpoint_of_a_database_is_whole(tmp_path):
    done = run("recover", "--to", f"duckdb:///{tmp_path}/x.duckdb", "--pipeline", PIPELINE, "--give-up", "bad")
    assert done.returncode == 2
    assert b"to all tables or to none" in done.stderr
