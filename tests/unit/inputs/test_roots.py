"""Roots: which files a tap may name, and the ways to name others."""

import os
from urllib.parse import quote

import pytest

from tailrace.errors import ConfigError, MessageError
from tailrace.inputs.roots import Roots


@pytest.fixture
def there(tmp_path):
    """A root with a file and a folder in it, beside a secret."""
    (tmp_path / "root" / "in it").mkdir(parents=True)
    (tmp_path / "root" / "a.jsonl").write_text("a")
    (tmp_path / "root" / "in it" / "100%=é.jsonl").write_text("b")
    (tmp_path / "rooted").mkdir()
    (tmp_path / "rooted" / "secret").write_text("secret")
    (tmp_path / "secret").write_text("secret")
    return tmp_path


def read(roots, *addresses):
    found = []
    for file in Roots([*map(str, roots)], {}).files(addresses, 7):
        with file.open() as opened:
            found.append(opened.read())
    return found


@pytest.mark.parametrize("form", ["{}", "{}/", "file://{}", "file://{}/"])
def test_files_below_a_root_are_found_however_the_root_is_written(there, form):
    root = there / "root"
    odd = root / "in it" / "100%=é.jsonl"
    found = read([form.format(root)], f"file://{root}/a.jsonl", str(root / "a.jsonl"), f"FILE://{quote(str(odd))}")
    assert found == [b"a", b"a", b"b"]


def test_a_root_may_be_reached_by_links_and_be_relative(there, monkeypatch):
    (there / "link").symlink_to(there / "root")
    assert read([there / "link"], f"file://{there}/link/a.jsonl", f"file://{there}/root/a.jsonl") == [b"a", b"a"]
    monkeypatch.chdir(there / "rooted")
    assert read(["../root"], f"file://{there}/root/a.jsonl") == [b"a"]


HOSTILE = {
    "another absolute path": "file://{there}/secret",
    "a path beside that begins alike": "file://{there}/rooted/secret",
    "a plain path elsewhere": "/etc/passwd",
    "dots": "file://{root}/../secret",
    "dots in the middle": "file://{root}/in it/../../secret",
    "a dot": "file://{root}/./a.jsonl",
    "dots in a plain path": "{root}/../secret",
    "disguised dots": "file://{root}/%2e%2e/secret",
    "disguised dots in capitals": "file://{root}/%2E%2E/secret",
    "half disguised dots": "file://{root}/.%2e/secret",
    "a disguised slash": "file://{root}/..%2fsecret",
    "a disguised backslash": "file://{root}/..%5csecret",
    "a disguised NUL": "file://{root}/a.jsonl%00.gz",
    "a disguised line feed": "file://{root}/a.jsonl%0a",
    "a broken escape": "file://{root}/a%zz.jsonl",
    "an escape that is no UTF-8": "file://{root}/a%ff.jsonl",
    "a NUL": "file://{root}/a.jsonl\0",
    "backslashes": "file://{root}\\..\\secret",
    "a host": "file://localhost{root}/a.jsonl",
    "another host": "file://example.org{root}/a.jsonl",
    "two slashes": "file://{root}//a.jsonl",
    "three slashes": "file:////{root}/a.jsonl",
    "one slash": "file:{root}/a.jsonl",
    "a query": "file://{root}/a.jsonl?x=1",
    "a fragment": "file://{root}/a.jsonl#x",
    "the root itself": "file://{root}",
    "a folder by its slash": "file://{root}/",
    "a relative path": "a.jsonl",
    "a relative path with dots": "../secret",
    "a home": "~/.ssh/id_rsa",
    "nothing": "",
    "http": "http://example.org/a.jsonl",
    "ftp": "ftp://example.org/a.jsonl",
    "data": "data:application/json,{{}}",
    "no scheme": "://{root}/a.jsonl",
    "a scheme in a scheme": "file://file://{root}/a.jsonl",
    "a store that is no root": "gs://bucket/run/a.jsonl",
    "another bucket": "s3://other/run/a.jsonl",
    "a bucket that begins alike": "s3://bucket2/run/a.jsonl",
    "another part of the bucket": "s3://bucket/other/a.jsonl",
    "a part that begins alike": "s3://bucket/run2/a.jsonl",
    "dots in the bucket": "s3://bucket/run/../other/a.jsonl",
    "disguised dots in the bucket": "s3://bucket/run/%2e%2e/other/a.jsonl",
    "a user": "s3://user@bucket/run/a.jsonl",
    "a user and a password": "s3://bucket:pass@evil.example/run/a.jsonl",
    "a port": "s3://bucket:80/run/a.jsonl",
    "no bucket": "s3:///bucket/run/a.jsonl",
    "two slashes in the bucket": "s3://bucket//run/a.jsonl",
    "a query in the bucket": "s3://bucket/run/a.jsonl?versionId=1",
    "a container's account": "az://container@account/run/a.jsonl",
    "the bucket alone": "s3://bucket",
    "a line feed": "s3://bucket/run/\na.jsonl",
}


@pytest.mark.parametrize("address", HOSTILE.values(), ids=HOSTILE)
def test_what_is_not_plainly_below_a_root_is_refused(there, address):
    root = there / "root"
    with pytest.raises(MessageError, match="manifest names") as raised:
        read([root, "s3://bucket/run", "az://container/run"], address.format(root=root, there=there))
    assert raised.value.line == 7
    assert "batch_roots" in str(raised.value)


def linked_file(root, there):
    (root / "x").symlink_to(there / "secret")


def linked_folder(root, there):
    (root / "in it" / "x").symlink_to(there)
    return "in it/x/secret"


def link_that_stays(root, there):
    (root / "x").symlink_to("a.jsonl")


def dangling_link(root, there):
    (root / "x").symlink_to(there / "none")


def pipe(root, there):
    os.mkfifo(root / "x")


def folder(root, there):
    (root / "x").mkdir()


def file_as_a_folder(root, there):
    return "a.jsonl/x"


@pytest.mark.parametrize(
    "made", [linked_file, linked_folder, link_that_stays, dangling_link, pipe, folder, file_as_a_folder]
)
def test_links_and_what_is_no_file_are_refused(there, made):
    root = there / "root"
    name = made(root, there) or "x"
    with pytest.raises(ConfigError, match=r"isn't a file that can be read.*no link is followed"):
        read([root], f"file://{quote(str(root / name))}")


def test_a_folder_that_is_exchanged_for_a_link_once_it_was_looked_at_leads_nowhere(there):
    root = there / "root"
    (file,) = Roots([str(root)], {}).files([f"file://{root}/in it/100%25=%C3%A9.jsonl"], 1)
    (root / "in it").rename(root / "was")
    (root / "in it").symlink_to(there / "rooted")
    (there / "rooted" / "100%=é.jsonl").write_text("secret")
    with pytest.raises(ConfigError, match="no link is followed"):
        file.open()


def test_a_root_that_is_exchanged_for_a_link_leads_nowhere(there):
    root = there / "root"
    (file,) = Roots([str(root)], {}).files([f"file://{root}/secret"], 1)
    root.rename(there / "was")
    root.symlink_to(there / "rooted")
    with pytest.raises(ConfigError, match="no link is followed"):
        file.open()


def test_a_file_that_is_not_there_is_an_error_that_names_it(there):
    with pytest.raises(ConfigError, match=f"there is no file {there}/root/b.jsonl"):
        read([there / "root"], f"file://{there}/root/b.jsonl")


def test_without_roots_the_error_says_which_setting_to_set():
    with pytest.raises(ConfigError, match=r"^batch_roots: line 7 is a BATCH message") as raised:
        Roots([], {}).files(["file:///a"], 7)
    assert raised.value.line == 7


@pytest.mark.parametrize("root", ["http://a/b", "s3://", "s3://a/../b", "file://host/a", "s3://user@bucket", "x://y"])
def test_a_root_that_is_no_folder_or_address_is_an_error(root):
    with pytest.raises(ConfigError, match=r"batch_roots: .* is neither a folder nor an address"):
        Roots([root], {})
