"""Folders of this machine, as object stores are."""

import io

import pytest

from tailrace.errors import DestinationError
from tailrace.objects.folder import Folder
from tailrace.objects.settings import AwsSettings


@pytest.fixture
def folder(tmp_path):
    return Folder(AwsSettings(), f"{tmp_path.as_uri()}/a%20lake")


def test_a_file_is_put_under_its_name_and_read_again(folder, tmp_path):
    folder.put_file("of table/part 1%.csv", io.BytesIO(b"1,2"))
    assert folder.get("of table/part 1%.csv") == b"1,2"
    assert [*folder.names()] == ["of table/part 1%.csv"]
    assert (tmp_path / "a lake" / "of table" / "part 1%.csv").read_bytes() == b"1,2"


def test_a_file_whose_upload_was_cut_short_is_not_there(folder, tmp_path):
    folder.put("other", b"")
    (tmp_path / "a lake" / "part#1").write_bytes(b"1,")
    assert [*folder.names()] == ["other"]


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", ".."])
def test_nothing_is_put_outside(folder, tmp_path, name):
    with pytest.raises(DestinationError, match="isn't within the folder"):
        folder.put_file(name, io.BytesIO(b""))
    assert not (tmp_path / "outside").exists()


def test_a_file_that_cannot_be_put_is_the_destinations_error(folder, tmp_path):
    (tmp_path / "a lake").mkdir()
    (tmp_path / "a lake" / "file").touch()
    with pytest.raises(DestinationError, match="a%20lake"):
        folder.put_file("file/part", io.BytesIO(b""))
