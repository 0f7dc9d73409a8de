"""Files of this machine: written whole or not at all, and synced several at once."""

import io

import pytest

from tailrace.disk import sync_all, write_whole


class Broken(io.BytesIO):
    def read(self, _size=-1):
        if self.tell():
            raise OSError("the disk is gone")
        return super().read(2)


def test_a_file_is_written_from_the_position_on_into_folders_that_are_made(tmp_path):
    content = io.BytesIO(b"0123456789" * 100_000)
    content.seek(4)
    write_whole(tmp_path / "a" / "b", content)
    assert (tmp_path / "a" / "b").read_bytes() == content.getvalue()[4:]
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["b"]


def test_a_file_that_cannot_be_written_whole_stays_as_it_was(tmp_path):
    (tmp_path / "a").write_bytes(b"before")
    with pytest.raises(OSError, match="gone"):
        write_whole(tmp_path / "a", Broken(b"after"))
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a", b"before")]


def test_what_is_left_of_a_copy_that_was_cut_short_is_replaced(tmp_path):
    (tmp_path / "a#1").write_bytes(b"much more than there is now")
    write_whole(tmp_path / "a", io.BytesIO(b"now"))
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a", b"now")]


def test_one_of_several_files_that_cannot_be_synced_is_an_error(tmp_path):
    (tmp_path / "a").touch()
    sync_all([tmp_path / "a", tmp_path])
    with pytest.raises(FileNotFoundError):
        sync_all([tmp_path, tmp_path / "missing", tmp_path / "a"])
