"""What suits a process of tailrace's own, and that other programs don't get it."""

import os
import subprocess
import sys

import pytest

SETTLED = """
import os, threading
from tailrace.alone import environ_of_others, link_ahead, make_room_for_others, settle
{}
"""
PLUGINS = "PYDANTIC_DISABLE_PLUGINS"


def said_by(script, **environ):
    """What a process says that runs the script."""
    words = [sys.executable, "-c", SETTLED.format(script)]
    given = {name: value for name, value in os.environ.items() if name != PLUGINS} | environ
    return subprocess.run(words, env=given, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("given", [{}, {PLUGINS: "theirs"}])
def test_other_programs_and_their_code_get_the_environment_as_it_was_given(given):
    script = f"""
settle()
print(os.environ.get("{PLUGINS}"), environ_of_others().get("{PLUGINS}"))
make_room_for_others()
print(os.environ.get("{PLUGINS}"))
"""
    theirs = given.get(PLUGINS)
    assert said_by(script, **given) == [theirs or "__all__", str(theirs), str(theirs)]


def test_extension_modules_are_linked_before_they_are_imported():
    script = """
import sys
link_ahead(["no.such", "no_such", "pyarrow.lib", "_duckdb"], ["no_small_one", "_decimal"])
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join()
linked = {line.rpartition("/")[2].partition(".")[0] for line in open("/proc/self/maps")}
print(*sorted(linked & {"lib", "_duckdb", "no_such"}), *sorted({"pyarrow", "duckdb", "_decimal"} & {*sys.modules}))
"""
    assert said_by(script) == ["_duckdb", "lib", "_decimal"]
