"""The quarantine file: what is set aside, when it counts, and how it is loaded again."""

import json
import os
import re
import resource
from contextlib import closing, contextmanager
from itertools import zip_longest

import pytest

from tailrace.errors import ConfigError, MessageError, Violation
from tailrace.model import Refused, Stream, TableName
from tailrace.runtime.quarantine import Quarantine, quarantined_messages
from tailrace.singer.messages import SchemaMessage

SCHEMA = b'{"properties": {"id": {"type": "integer"}}}'
STREAM = Stream("s", TableName("s"), (), json_schema=SCHEMA)
MESSAGE = SchemaMessage(1, "s", SCHEMA, ("id",), (), None, None)


def refused(line, raw=None):
    reason = Violation("type", "$.id", "an integer", '"x"')
    return Refused("s", line, raw or b'{"type":"RECORD","stream":"s","record":{"id":"x%d"}}' % line, (reason,))


def entries(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def lines_of(path):
    return [entry["line"] for entry in entries(path) if "line" in entry]


def test_a_refused_record_is_kept_as_sent_with_its_reasons(tmp_path):
    path = tmp_path / "q.jsonl"
    quarantine = Quarantine(path, "p", "run1")
    quarantine.add(STREAM, MESSAGE, [refused(7)])
    quarantine.close()
    schema, record = entries(path)
    assert json.loads(schema["schema"])["key_properties"] == ["id"]
    assert record == {
        "record": '{"type":"RECORD","stream":"s","record":{"id":"x7"}}',
        "stream": "s",
        "line": 7,
        "reasons": [{"code": "type", "path": "$.id", "expected": "an integer", "got": '"x"'}],
        "pipeline": "p",
        "run": "run1",
    }


def test_no_file_is_left_without_a_refused_record(tmp_path):
    quarantine = Quarantine(tmp_path / "q.jsonl", "p", "run1")
    quarantine.recover(0)
    quarantine.cover(1, 100)
    quarantine.close()
    assert list(tmp_path.iterdir()) == []


def test_a_new_files_name_is_on_the_disk_before_its_records_are_covered(tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (synced.append(os.fstat(number).st_ino), fsync(number)))
    path = tmp_path / "folder" / "q.jsonl"
    with closing(Quarantine(path, "p", "run1")) as quarantine:
        quarantine.add(STREAM, MESSAGE, [refused(1)])
        quarantine.cover(1, 100)
        assert {each.stat().st_ino for each in (path, path.parent, tmp_path)} <= set(synced)


def set_aside(path, pipeline, run, *lines, checkpoints=()):
    """What a run has done: for each line, set aside a record and cover it with the checkpoint, where there is one."""
    with closing(Quarantine(path, pipeline, run)) as quarantine:
        for line, checkpoint in zip_longest(lines, checkpoints):
            quarantine.add(STREAM, MESSAGE, [refused(line)])
            if checkpoint:
                quarantine.cover(checkpoint, line)


def recover(path, pipeline, run, committed):
    with closing(Quarantine(path, pipeline, run)) as quarantine:
        quarantine.recover(committed)


def replayed(path):
    """The lines whose records are replayed."""
    return [int(re.search(rb'"id":"x(\d+)"', line)[1]) for line in quarantined_messages(path) if b'"RECORD"' in line]


def test_what_no_committed_checkpoint_covers_is_voided_at_recovery_and_stays_in_the_file(tmp_path):
    path = tmp_path / "q.jsonl"
    set_aside(path, "p", "run1", 5, 9, 12, 20, checkpoints=(1, 2, 3))
    assert replayed(path) == [5, 9, 12]
    for run in ("run2", "run3"):
        recover(path, "p", run, committed=2)
        assert lines_of(path) == [5, 9, 12, 20]
        assert [entry["beyond_line"] for entry in entries(path) if entry.get("void") == "run1"] == [9]
        assert replayed(path) == [5, 9]


def test_what_is_voided_stays_so_when_a_later_run_commits_a_checkpoint_of_the_same_number(tmp_path):
    path = tmp_path / "q.jsonl"
    set_aside(path, "p", "run1", 5, 9, checkpoints=(1, 2))
    recover(path, "p", "run2", committed=1)
    set_aside(path, "p", "run2", 3, checkpoints=(2,))
    recover(path, "p", "run3", committed=2)
    assert replayed(path) == [5, 3]


def test_a_run_of_which_nothing_is_committed_is_voided_from_its_start(tmp_path):
    path = tmp_path / "q.jsonl"
    set_aside(path, "p", "run1", 5, checkpoints=(1,))
    recover(path, "p", "run2", committed=0)
    assert list(quarantined_messages(path)) == []


def test_what_other_pipelines_set_aside_counts_at_recovery(tmp_path):
    path = tmp_path / "q.jsonl"
    for number, pipeline in enumerate(("p", "other"), start=1):
        set_aside(path, pipeline, pipeline, number, checkpoints=(1,))
    recover(path, "p", "run2", committed=0)
    assert replayed(path) == [2]


def test_entries_are_added_and_none_before_is_changed(tmp_path):
    path = tmp_path / "q.jsonl"
    set_aside(path, "p", "run1", 5, 9, checkpoints=(1,))
    before = path.read_bytes()
    inode = path.stat().st_ino
    recover(path, "p", "run2", committed=1)
    set_aside(path, "p", "run2", 3, checkpoints=(2,))
    assert path.read_bytes().startswith(before)
    assert path.stat().st_ino == inode


def test_one_run_at_a_time_has_the_file(tmp_path):
    path = tmp_path / "q.jsonl"
    with closing(Quarantine(path, "p", "run1")) as first:
        first.open()
        for pipeline in ("p", "other"):
            with pytest.raises(ConfigError, match=r"quarantine: .*q.jsonl is in use by another run \(wait until"):
                Quarantine(path, pipeline, "run2").open()
        first.add(STREAM, MESSAGE, [refused(5)])
        first.cover(1, 5)
        with pytest.raises(ConfigError, match=r"a run is writing to .*q.jsonl \(replay it once that has ended"):
            list(quarantined_messages(path))
    assert replayed(path) == [5]


def test_no_run_may_write_to_a_file_while_it_is_replayed(tmp_path):
    path = tmp_path / "q.jsonl"
    set_aside(path, "p", "run1", 5, checkpoints=(1,))
    messages = quarantined_messages(path)
    next(messages)
    with pytest.raises(ConfigError, match="in use by another run"):
        Quarantine(path, "p", "run2").open()
    messages.close()
    recover(path, "p", "run2", committed=1)


def test_a_run_that_waits_for_a_name_whose_file_is_removed_makes_it_anew(tmp_path):
    path = tmp_path / "q.jsonl"
    recover(path, "p", "run1", committed=0)
    set_aside(path, "p", "run2", 5, checkpoints=(1,))
    assert replayed(path) == [5]


def test_a_new_file_may_be_read_by_its_owner_alone_and_one_that_is_there_stays_as_it_is(tmp_path):
    set_aside(tmp_path / "new.jsonl", "p", "run1", 5)
    (tmp_path / "old.jsonl").touch(mode=0o644)
    set_aside(tmp_path / "old.jsonl", "p", "run1", 5)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("new.jsonl", "old.jsonl")] == [0o600, 0o644]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_stays_a_link(tmp_path, is_there):
    link, path = tmp_path / "link.jsonl", tmp_path / "q.jsonl"
    link.symlink_to(path)
    if is_there:
        set_aside(path, "p", "run1", 5, 9, checkpoints=(1,))
    recover(link, "p", "run2", committed=1)
    set_aside(link, "p", "run2", 3, checkpoints=(2,))
    assert link.is_symlink()
    assert replayed(path) == replayed(link) == ([5, 3] if is_there else [3])


def test_entries_behind_a_line_that_a_crash_cut_off_are_whole(tmp_path):
    path = tmp_path / "q.jsonl"
    set_aside(path, "p", "run1", 5, checkpoints=(1,))
    with path.open("a") as file:
        file.write('{"record": "cut of' + "f" * 200_000)
    recover(path, "p", "run2", committed=1)
    set_aside(path, "p", "run2", 3, checkpoints=(2,))
    assert replayed(path) == [5, 3]


def test_a_last_entry_that_an_editor_has_left_without_a_line_end_is_kept(tmp_path):
    path = tmp_path / "q.jsonl"
    set_aside(path, "p", "run1", 5, checkpoints=(1,))
    path.write_bytes(path.read_bytes().rstrip())
    set_aside(path, "p", "run2", 3, checkpoints=(2,))
    assert replayed(path) == [5, 3]


def test_a_file_of_something_else_is_refused_and_stays_as_it_is(tmp_path):
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n::1 local")
    with (
        closing(Quarantine(path, "p", "run1")) as quarantine,
        pytest.raises(ConfigError, match="isn't a quarantine file"),
    ):
        quarantine.recover(0)
    assert path.read_text() == "127.0.0.1 localhost\n::1 local"


@contextmanager
def files_of_at_most(size):
    """What writes more fails, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(quarantine, lines):
    for line in lines:
        quarantine.add(STREAM, MESSAGE, [refused(line)])
    quarantine.cover(2, lines[-1])


@pytest.mark.parametrize("limit", [300, 70_000])
def test_a_disk_that_is_full_is_an_error_that_says_so_and_leaves_whole_lines(tmp_path, limit):
    path = tmp_path / "q.jsonl"
    quarantine = Quarantine(path, "p", "run1")
    quarantine.add(STREAM, MESSAGE, [refused(1)])
    quarantine.cover(1, 1)
    with (
        files_of_at_most(quarantine._path.stat().st_size + limit),
        pytest.raises(ConfigError, match=r"q.jsonl can't be written: File too large \(raise the limit"),
    ):
        fill(quarantine, range(2, 1000))
    quarantine.close()
    assert replayed(tmp_path / "q.jsonl") == [1]
    assert (tmp_path / "q.jsonl").read_bytes().endswith(b"}\n")


def test_quarantined_messages_are_the_schema_and_the_records_as_sent(tmp_path):
    path = tmp_path / "q.jsonl"
    quarantine = Quarantine(path, "p", "run1")
    quarantine.add(STREAM, MESSAGE, [refused(1)])
    quarantine.add(STREAM, MESSAGE, [refused(2, raw=b'{"record":"\xff"}')])
    quarantine.cover(1, 2)
    quarantine.close()
    schema, *records = quarantined_messages(path)
    assert json.loads(schema)["schema"] == json.loads(SCHEMA)
    assert records == [b'{"type":"RECORD","stream":"s","record":{"id":"x1"}}\n', b'{"record":"\xff"}\n']


@pytest.mark.parametrize("text", ['{"id": 1}\n', "no json\n", "[1]\n"])
def test_a_file_that_is_no_quarantine_is_refused_with_the_line(tmp_path, text):
    path = tmp_path / "q.jsonl"
    path.write_text(text)
    with pytest.raises(MessageError, match=r"line 1: .*isn't a quarantine file"):
        list(quarantined_messages(path))


def test_a_last_line_that_was_cut_off_by_a_crash_is_passed_over(tmp_path):
    path = tmp_path / "q.jsonl"
    quarantine = Quarantine(path, "p", "run1")
    quarantine.add(STREAM, MESSAGE, [refused(1)])
    quarantine.cover(1, 1)
    quarantine.close()
    with path.open("a") as file:
        file.write('{"record": "cut of')
    assert len(list(quarantined_messages(path))) == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (".", "can't be written: Is a directory (name another file)"),
        ("/dev/full", "/dev/full isn't a regular file (name another)"),
        ("/dev/null", "/dev/null isn't a regular file (name another)"),
        ("/proc/nowhere/q.jsonl", "can't be written: No such file or directory (name another file)"),
        ("n" * 300, "can't be written: File name too long (name another file)"),
    ],
)
def test_a_file_that_cant_be_written_is_a_config_error_before_anything_is_loaded(tmp_path, name, said):
    with pytest.raises(ConfigError) as raised:
        Quarantine(tmp_path / name, "p", "run1").open()
    assert str(raised.value).startswith("quarantine: ")
    assert str(raised.value).endswith(said)
