"""A pipeline's journal, and what its entries say of plain files."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import DestinationError
from tailrace.lake.entries import Change, Entry, Part, decoded, encoded, folder_of, part_name, sequence_of
from tailrace.lake.journal import FOLDER, ObjectJournal, bases_of, journals_of, manifests_of, shortened
from tailrace.lake.listing import Listing, listed
from tailrace.model import Checkpoint, Kind, TableName
from tailrace.objects import Folder, StoreSettings
from tailrace.schema.evolve import TableColumn
from tailrace.schema.names import digest
from tailrace.testing.parts import AT

ID = TableColumn("id", Kind.INT)
THINGS = TableName("things")


@pytest.fixture
def root(tmp_path):
    return Folder(StoreSettings(), f"file://{tmp_path}/lake")


def entry(sequence, *tables, fence="f", minute=0):
    return Entry("p", sequence, 1, fence, sequence, "{}", AT.replace(minute=minute), tables=tables)


def change(*paths, **more):
    return Change("things", "things", columns=(ID,), files=tuple(Part(path, 1, 10) for path in paths), **more)


def test_an_entry_is_written_once(root):
    one, other = ObjectJournal(root, "p"), ObjectJournal(root, "p")
    assert one.last() is None
    assert one.add(entry(1))
    assert one.add(entry(1))
    assert not other.add(entry(1, fence="g"))
    assert other.last() == entry(1)


def test_the_last_entry_is_the_one_of_the_highest_sequence(root):
    journal = ObjectJournal(root, "p")
    for sequence in (1, 2, 10, 9):
        assert journal.add(entry(sequence))
    assert journal.last().sequence == 10


def test_pipelines_have_journals_of_their_own(root):
    for name in ("a", "a/b", "..", "a b", "列"):
        assert ObjectJournal(root, name).last() is None
        assert ObjectJournal(root, name).add(replace_pipeline(name))
    assert len({ObjectJournal(root, name).last().pipeline for name in ("a", "a/b", "..", "a b", "列")}) == 5


def replace_pipeline(name):
    return msgspec.structs.replace(entry(1), pipeline=name)


def test_tables_are_noted_with_their_schemas(root):
    journal = ObjectJournal(root, "p")
    for _ in range(2):
        journal.note(THINGS)
        journal.note(replace(THINGS, schema="s/t"))
    assert set(ObjectJournal(root, "p").tables()) == {THINGS, TableName("things", "s/t")}
    assert journal.last() is None


def test_it_is_noted_that_tables_were_brought_to_an_entry(root):
    journal = ObjectJournal(root, "p")
    assert not journal.is_finished(entry(1))
    journal.finish(entry(1))
    assert journal.is_finished(entry(1))
    assert not journal.is_finished(entry(2))


def test_a_journal_that_is_forgotten_is_gone(root):
    journal = ObjectJournal(root, "p")
    journal.add(entry(1))
    journal.note(THINGS)
    journal.forget()
    assert list(root.names()) == []


def test_an_entry_comes_back_as_it_was():
    one = entry(3, change("a", "b", replace=True, voids=("c",), key=("id",)))
    assert decoded(encoded(one)) == one


def test_an_entry_that_cannot_be_read_is_an_error():
    with pytest.raises(DestinationError, match="can't be read"):
        decoded(b'{"pipeline": 1}')


def test_a_run_without_pipeline_is_not_recovered_after_its_end():
    last = Entry("~x", 2, 1, "f", 1, None, AT, final=True)
    assert last.checkpoint is None
    assert msgspec.structs.replace(last, final=False).checkpoint.number == 1
    assert msgspec.structs.replace(last, pipeline="p").checkpoint.number == 1


def test_a_table_has_the_files_that_entries_list_and_none_takes_out():
    entries = [
        entry(1, change("a", "b")),
        entry(2, change("c", replace=True, voids=("a", "b")), minute=1),
        entry(3, change("d"), minute=2),
    ]
    assert set(listed(reversed(entries))[THINGS].files) == {"c", "d"}
    assert listed(entries)[THINGS].rows == 2


def test_a_replaced_table_has_its_new_columns_alone():
    other = TableColumn("x", Kind.TEXT)
    new = msgspec.structs.replace(change("b", replace=True), columns=(other,))
    assert list(listed([entry(1, change("a")), entry(2, new, minute=1)])[THINGS].columns) == ["x"]


def test_entries_are_read_once(root):
    journal, listing = ObjectJournal(root, "p"), Listing(root)
    journal.add(entry(1, change("a")))
    assert set(listing.read()[THINGS].files) == {"a"}
    root.put(f"{journal.folder}/0000000001.json", b"no longer an entry")
    journal.add(entry(2, change("b"), minute=1))
    assert set(listing.read()[THINGS].files) == {"a", "b"}
    assert [each.sequence for each in listing.entries("p")] == [1, 2]


@pytest.mark.parametrize(
    ("name", "folder"),
    [("orders", "orders"), ("..", "~2e."), ("a/b", "a~2fb"), ("~", "~7e"), ("a b", "a~20b"), ("é=1,2", "é=1,2")],
)
def test_a_name_is_a_folder_of_its_own(name, folder):
    assert folder_of(name) == folder


def test_long_names_are_cut_and_stay_apart():
    names = ["é" * 300 + end for end in "ab"]
    folders = {folder_of(name) for name in names}
    assert len(folders) == 2
    assert max(len(folder.encode()) for folder in folders) < 200


def test_a_files_name_says_which_entry_it_was_written_for():
    assert sequence_of(f"{part_name('p', 42, 7)}.parquet", "p") == 42
    assert sequence_of(f"{part_name('p', 42, 'abc-7')}.parquet", "p") == 42
    assert sequence_of(f"{part_name('q', 42, 7)}.parquet", "p") is None
    assert sequence_of("part-00000-b531334c.parquet", "p") is None
    assert sequence_of(f"{digest('p')}-nothing", "p") is None


def names_of(journal):
    return [name.rpartition("/")[2] for name in journal.names()]


def test_old_entries_are_removed_and_none_takes_their_place(root):
    journal = ObjectJournal(root, "p")
    for sequence in (1, 2, 3):
        journal.add(entry(sequence))
    assert (journal.pruned(), journal.prune(2)) == (0, 2)
    assert (names_of(journal), journal.pruned()) == (["0000000003.json"], 2)
    late = ObjectJournal(root, "p")
    assert [late.add(entry(sequence, fence="late")) for sequence in (1, 2, 3)] == [False, False, False]
    assert names_of(journal) == ["0000000003.json"]
    assert journal.add(entry(4))


def test_removing_old_entries_again_finds_none_and_remembers_the_last_time(root):
    journal = ObjectJournal(root, "p")
    for sequence in (1, 2, 3, 4):
        journal.add(entry(sequence))
    journal.prune(1)
    assert (journal.prune(1), journal.prune(3), journal.pruned()) == (0, 2, 3)
    assert [name.rpartition("/")[2] for name in root.names(f"{journal.folder}/pruned")] == ["0000000003"]


def test_a_journal_is_shortened_to_its_last_entry(root):
    journal = ObjectJournal(root, "p")
    assert shortened(journal) is None
    journal.add(entry(1))
    assert shortened(journal) is None
    for sequence in (2, 3):
        journal.add(entry(sequence))
    assert shortened(journal) == "The journal of the pipeline 'p': 2 old entries are removed."
    assert (journal.last().sequence, shortened(journal)) == (3, None)


def test_the_journals_of_a_lake_are_those_that_have_entries(root):
    for name in ("a/b", "列"):
        ObjectJournal(root, name).add(replace_pipeline(name))
    ObjectJournal(root, "noted").note(THINGS)
    assert sorted(journal.pipeline for journal in journals_of(root)) == ["a/b", "列"]


def test_readers_go_by_the_newest_entry_that_stands_for_others_and_those_behind_it(root):
    journal, other = ObjectJournal(root, "p"), ObjectJournal(root, "q")
    for sequence in (1, 2, 3):
        journal.add(entry(sequence))
    other.add(replace_pipeline("q"))
    for sequence in (1, 2):
        journal.put_base(entry(sequence))
    root.put(f"{journal.folder}/base-x.json", b"")
    read = manifests_of(root, FOLDER)
    assert sorted(name.removeprefix(f"{FOLDER}/") for name in read) == [
        "p/0000000003.json",
        "p/base-0000000002.json",
        "q/0000000001.json",
    ]
    assert bases_of(read) == {f"{FOLDER}/p/base-0000000002.json"}
    assert len([name for name in root.names(journal.folder) if "base-" in name]) == 2  # the older one was removed


def test_an_entry_follows_another_of_the_same_run():
    last = Entry("p", 4, 3, "f", 7, "{}", AT)
    after = last.after(Checkpoint("p", 8, b'{"n":1}', AT, final=True), (change("a"),))
    assert after == Entry("p", 5, 3, "f", 8, '{"n":1}', AT, True, (change("a"),))
    assert (last.is_takeover, entry(1).is_takeover) == (False, True)
    assert after.decides(Checkpoint("p", 8, None, AT))
    assert not after.decides(Checkpoint("p", 8, None, AT.replace(minute=1)))
    assert not after.decides(Checkpoint("p", 7, None, AT))
    assert after.checkpoint == Checkpoint("p", 8, b'{"n":1}', AT)
    assert last.after(Checkpoint("p", 8, None, AT), ()).checkpoint.state is None


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_names_never_share_a_folder(one, other):
    folder = folder_of(one)
    assert (folder == folder_of(other)) == (one == other)
    assert "/" not in folder
    assert folder not in {"", ".", ".."}
    assert len(folder.encode()) <= 200
