"""Tables of plain files are kept up: files and manifests are put together, and readers see the same all the while."""

import re
import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import duckdb
import pyarrow.parquet as pq
import pytest

from tailrace import load
from tailrace.destinations import open_destination
from tailrace.errors import ConfigError, DestinationError, FencedError
from tailrace.lake.entries import MAINTENANCE, Change, Entry, Part
from tailrace.lake.journal import ObjectJournal, manifests_of
from tailrace.lake.listing import Listing, listed
from tailrace.lake.manifests import Upkeep
from tailrace.model import Kind, TableName
from tailrace.objects import Folder, StoreSettings
from tailrace.schema.evolve import TableColumn
from tailrace.testing.messages import INT, OBJECT, TEXT, records, schema, state
from tailrace.testing.parts import AT, batch, checkpoint, stream

DAY = timedelta(days=1)
THINGS = TableName("things")
PAGE = Path(__file__).parents[2] / "docs" / "destinations" / "files.md"


@pytest.fixture
def root(tmp_path):
    return Folder(StoreSettings(), f"file://{tmp_path}/lake")


@pytest.fixture
def lake(tmp_path):
    return f"files://{tmp_path}/lake"


def loaded(lake, *ids, table="things", **settings):
    messages = [schema({"id": INT, "name": TEXT}, stream=table)]
    messages += records(*[{"id": number, "name": f"n{number}"} for number in ids], stream=table)
    load([*messages, state({"n": ids[-1]})], lake, **{"pipeline": "p", **settings})


def kept_up(root, keep=timedelta(0), now=None, file_bytes=2**20, tables=()):
    upkeep = Upkeep(root, file_bytes, keep, now or datetime.now(UTC))
    return [*upkeep.run(tables)]


def files(lake, table="things"):
    """The table's files; none where there is no table."""
    with closing(open_destination(lake, {})) as destination:
        try:
            return [path.removeprefix("file://") for path in destination.files(TableName(table))]
        except ConfigError:
            return []


def ids(lake, table="things"):
    return sorted(
        value for path in files(lake, table) for value in pq.read_table(path, partitioning=None)["id"].to_pylist()
    )


def ids_by_the_page(lake, root):
    """As the SQL of the docs reads them."""
    sql = re.search(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    sql = sql.replace("s3://my-bucket/shop", root.url.removeprefix("file://")).replace(
        "table = 'orders'", "table = 'things'"
    )
    with duckdb.connect() as connection:
        statements = connection.extract_statements(sql)
        for statement in statements[:-1]:
            connection.execute(statement)
        return sorted(row[0] for row in connection.execute(statements[-1]).fetchall())


def test_small_files_become_one_and_many_manifests_too(lake, root):
    for number in range(12):
        loaded(lake, 2 * number, 2 * number + 1)
    told = kept_up(root)
    assert told[0] == "things: 12 files with 24 rows were put together to 1."
    assert ids(lake) == ids_by_the_page(lake, root) == [*range(24)]
    assert len(files(lake)) == 1
    loaded(lake, 99)
    assert ids(lake) == ids_by_the_page(lake, root) == [*range(24), 99]
    assert len(manifests_of(root, "_tailrace")) < 8
    on_disk = [name for name in root.names("") if name.endswith(".parquet")]
    assert len(on_disk) == 2


def test_nothing_is_done_twice(lake, root):
    for number in range(3):
        loaded(lake, number)
    kept_up(root)
    kept_up(root)
    assert kept_up(root) == []
    assert ids(lake) == [0, 1, 2]


def test_files_stay_as_long_as_readers_may_be_at_them(lake, root):
    now = datetime.now(UTC)
    for number in range(3):
        loaded(lake, number)
    before = files(lake)
    kept_up(root, DAY, now)
    kept_up(root, DAY, now + DAY / 2)
    assert all(Path(path).exists() for path in before)
    assert "3 files are removed that are no table's any more." in kept_up(root, DAY, now + DAY)
    assert not any(Path(path).exists() for path in before)
    loaded(lake, 3)
    for days in (2, 3, 4, 5):
        kept_up(root, DAY, now + days * DAY)
    assert ids(lake) == ids_by_the_page(lake, root) == [0, 1, 2, 3]
    assert not any(Path(path).name in line for path in before for line in contents(root))


def contents(root):
    return [root.get(name).decode() for name in manifests_of(root, "_tailrace")]


def test_partitions_and_columns_stay_apart(lake, root):
    for number in range(4):
        loaded(lake, number, partition_keys=["name"] if number % 2 else [])
        load([schema({"id": INT, "more": OBJECT}), *records({"id": 10 + number}), state({})], lake, pipeline="q")
    kept_up(root)
    assert ids_by_the_page(lake, root) == sorted([0, 2, *[10, 11, 12, 13], *[1, 3]])
    assert len(files(lake)) == 4


def test_a_table_that_is_replaced_has_the_new_rows_alone(lake, root):
    for number in range(3):
        loaded(lake, number)
        kept_up(root)
    loaded(lake, 7, 8, method="replace")
    assert ids(lake) == [7, 8]
    for _ in range(3):
        kept_up(root)
        assert ids(lake) == ids_by_the_page(lake, root) == [7, 8]
    loaded(lake, 9)
    assert ids(lake) == [7, 8, 9]
    assert len([name for name in root.names("") if name.endswith(".parquet")]) == 2


def part(name, *sources):
    return Part(name, 1, 10, sources=sources)


def entry(pipeline, sequence, *parts, minute=0, voids=(), replace=False):
    change = Change(
        "things", "things", columns=(TableColumn("id", Kind.INT),), files=parts, voids=voids, replace=replace
    )
    return Entry(pipeline, sequence, 1, "f", sequence, "{}", AT.replace(minute=minute), tables=(change,))


def test_a_replace_that_did_not_know_of_files_put_together_takes_their_rows_out_and_no_others():
    appended = [entry("p", 1, part("a")), entry("q", 1, part("b"), minute=1)]
    together = entry(MAINTENANCE, 2, part("m", "a", "b"), minute=2)
    again = entry(MAINTENANCE, 3, part("m2", "m", "a", "b"), minute=3)
    replaced = entry("p", 2, part("r"), voids=("a",), replace=True, minute=4)
    assert set(listed([*appended, together])[THINGS].files) == {"m"}
    assert set(listed([*appended, together, again])[THINGS].files) == {"m2"}
    assert set(listed([*appended, together, replaced])[THINGS].files) == {"b", "r"}
    assert set(listed([*appended, together, again, replaced])[THINGS].files) == {"b", "r"}


@pytest.mark.parametrize("seed", range(12))
def test_rows_stay_those_of_a_model_whatever_comes_in_which_order(lake, root, seed):
    chance, model, now = Random(seed), {"things": [], "other": []}, datetime.now(UTC)
    for step in range(14):
        if chance.random() < 0.4:
            now += DAY * chance.choice([0.1, 0.6, 1.2])
            kept_up(root, DAY, now, tables=chance.choice([(), (), [THINGS]]))
        else:
            table, pipeline = chance.choice(["things", "things", "other"]), chance.choice(["p", "q", None])
            method = chance.choice(["append", "append", "append", "replace"])
            loaded(lake, step, 100 + step, table=table, pipeline=pipeline, method=method)
            model[table] = [*(model[table] if method == "append" else ()), step, 100 + step]
        assert ids(lake) == sorted(model["things"])
        assert ids(lake, "other") == sorted(model["other"])
    if model["things"]:
        assert ids_by_the_page(lake, root) == sorted(model["things"])


def test_runs_without_a_pipeline_leave_one_manifest(lake, root):
    for number in range(5):
        loaded(lake, number, pipeline=None)
    loaded(lake, 5)
    for _ in range(3):
        kept_up(root)
        assert ids(lake) == ids_by_the_page(lake, root) == [0, 1, 2, 3, 4, 5]
    assert len({name.split("/")[1] for name in manifests_of(root, "_tailrace")}) == 2


def test_the_tables_of_several_pipelines_keep_their_columns_in_their_order(lake, root):
    loaded(lake, 1)
    loaded(lake, 2, table="other")
    load([schema({"id": TEXT}), *records({"id": "x"}), state({})], lake, pipeline="q", method="replace")
    loaded(lake, 3, table="other")
    loaded(lake, 4, table="other")
    before = Listing(root).read()
    kept_up(root, DAY)
    after = Listing(root).read()
    assert {name: (list(one.columns.items()), one.key) for name, one in before.items()} == {
        name: (list(one.columns.items()), one.key) for name, one in after.items()
    }
    assert before[THINGS].columns["id"].kind is Kind.TEXT


def test_a_run_that_is_at_work_goes_on_beside_it(lake, root):
    for number in range(3):
        loaded(lake, number)
    destination = open_destination(lake, {})
    one = stream(key=())
    last = destination.recover("p")
    destination.prepare(one)
    kept_up(root)
    destination.commit(
        checkpoint(destination.stage(batch(one, (7, "x"), checkpoint=4)), number=last.number + 1, pipeline="p")
    )
    kept_up(root)
    destination.close()
    assert ids(lake) == [0, 1, 2, 7]


def test_a_run_that_stood_still_while_its_place_in_the_journal_was_removed_is_fenced(lake, root):
    loaded(lake, 0)
    older = open_destination(lake, {})
    one = stream(key=())
    last = older.recover("p")
    older.prepare(one)
    receipt = older.stage(batch(one, (66, "x"), checkpoint=last.number + 1))
    for number in range(1, 4):
        loaded(lake, number)
    kept_up(root)
    with pytest.raises(FencedError):
        older.commit(checkpoint(receipt, number=last.number + 1, pipeline="p"))
    older.close()
    loaded(lake, 4)
    assert ids(lake) == [0, 1, 2, 3, 4]


def test_only_one_is_at_work(lake, root):
    loaded(lake, 1)
    now = datetime.now(UTC)
    ObjectJournal(root, MAINTENANCE).add(Entry(MAINTENANCE, 1, 1, "other", at=now))
    assert kept_up(root, now=now + timedelta(minutes=59)) == [
        "Another maintenance of the lake is at work, or was interrupted less than an hour ago."
    ]
    assert kept_up(root, now=now + timedelta(minutes=61)) != kept_up(root, now=now + timedelta(minutes=59))


def test_one_that_failed_lets_the_next_one_begin(lake, root, monkeypatch):
    for number in range(3):
        loaded(lake, number)
    monkeypatch.setattr(Folder, "put_file", failing)
    with pytest.raises(DestinationError, match="no answer"):
        kept_up(root)
    monkeypatch.undo()
    assert "things: 3 files with 3 rows were put together to 1." in kept_up(root)
    assert ids(lake) == [0, 1, 2]


def failing(*_):
    raise DestinationError("no answer")


class Ended(BaseException):
    """The end of a process, as far as the upkeep can tell."""


class Ending(Folder):
    """A folder whose n-th change is the last: it ends before it, or behind it."""

    left = 10**9
    is_done_first = False

    def _passed(self, change, *given):
        self.left -= 1
        if self.left == 0 and not self.is_done_first:
            raise Ended
        done = change(*given)
        if self.left == 0:
            raise Ended
        return done

    def put(self, name, content):
        return self._passed(super().put, name, content)

    def put_new(self, name, content):
        return self._passed(super().put_new, name, content)

    def put_file(self, name, file):
        return self._passed(super().put_file, name, file)

    def remove(self, names):
        for name in [*names]:
            self._passed(super().remove, [name])


@pytest.mark.parametrize("is_done_first", [False, True], ids=["before", "behind"])
def test_wherever_it_is_interrupted_readers_see_the_same_and_the_next_one_finishes(tmp_path, is_done_first):
    lake = f"files://{tmp_path}/lake"
    for number in range(2):
        loaded(lake, number)
        loaded(lake, 10 + number, pipeline=None)
    loaded(lake, 20, table="other", method="replace")
    loaded(lake, 21, table="other", method="replace")
    for last in range(1, 200):
        shutil.copytree(tmp_path / "lake", tmp_path / str(last))
        lake, folder = f"files://{tmp_path}/{last}", f"file://{tmp_path}/{last}"
        root = Ending(StoreSettings(), folder)
        root.left, root.is_done_first = last, is_done_first
        try:
            kept_up(root)
            break
        except Ended:
            pass
        plain = Folder(StoreSettings(), folder)
        for hours in (0, 2, 4):
            assert ids(lake) == ids_by_the_page(lake, plain) == [0, 1, 10, 11], last
            assert ids(lake, "other") == [21], last
            kept_up(plain, now=datetime.now(UTC) + timedelta(hours=hours))
        assert ids(lake) == [0, 1, 10, 11], last
        assert len([name for name in plain.names("") if name.endswith(".parquet")]) == 2, last
    assert last > 10


@pytest.mark.parametrize("pipeline", ["p", None], ids=["named", "unnamed"])
def test_what_is_loaded_while_manifests_are_put_together_stays(lake, root, monkeypatch, pipeline):
    """Just when entries were read for the last time, a run puts several more, with rows in each."""
    loaded(lake, 1)
    read = Listing.read
    reads = []

    def late(self):
        found = read(self)
        reads.append(self)
        if len(reads) == 2:
            loaded(lake, 2, 3, 4, pipeline=pipeline, checkpoint_rows=1)
            loaded(lake, 5, pipeline=pipeline)
        return found

    monkeypatch.setattr(Listing, "read", late)
    kept_up(root)
    assert ids(lake) == [1, 2, 3, 4, 5]
    monkeypatch.undo()
    kept_up(root)
    assert ids(lake) == ids_by_the_page(lake, root) == [1, 2, 3, 4, 5]


def test_a_run_without_a_pipeline_that_ends_while_manifests_are_put_together_keeps_its_rows(lake, root, monkeypatch):
    """Its last entry is put when the others were read already."""
    loaded(lake, 1)
    one = stream(key=())
    with closing(open_destination(lake, {})) as destination:
        destination.recover("~run")
        destination.prepare(one)
        destination.commit(checkpoint(destination.stage(batch(one, (2, "n2"))), pipeline="~run"))
        receipt = destination.stage(batch(one, (3, "n3"), checkpoint=2))
        read = Listing.read
        reads = []

        def late(self):
            found = read(self)
            reads.append(self)
            if len(reads) == 2:
                destination.commit(checkpoint(receipt, number=2, pipeline="~run", final=True))
            return found

        monkeypatch.setattr(Listing, "read", late)
        kept_up(root)
    assert ids(lake) == [1, 2, 3]


def test_entries_behind_one_that_was_not_seen_stay(lake, root, monkeypatch):
    """A folder that others put into while it is listed may give the later of two new entries alone."""
    loaded(lake, 1)
    loaded(lake, 2)
    loaded(lake, 3)
    read = Listing.read

    def torn(self):
        found = read(self)
        self._entries = {name: entry for name, entry in self._entries.items() if entry.sequence != 4}
        return found

    monkeypatch.setattr(Listing, "read", torn)
    kept_up(root, file_bytes=0)
    monkeypatch.undo()
    assert ids(lake) == [1, 2, 3]


def test_a_table_that_no_pipeline_loads_into_is_told(lake, root):
    loaded(lake, 1)
    assert "else: no pipeline loads into it." in kept_up(root, tables=[TableName("else")])
