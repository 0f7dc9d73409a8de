"""Inputs whose readers are killed in the middle of them, and a run over these by workers.

`python deadly_inputs.py BACKEND URL FOLDER` is such a run, in a process of its own.
"""

import json
import os
import signal
import sys
import threading
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from tailrace.config import Settings
from tailrace.destinations import open_destination
from tailrace.inputs.feed import InputFeed
from tailrace.runtime.target import Target
from tailrace.testing.messages import INT, record, schema, state

FILES, ROWS = 6, 300
DEATHS = {1: 1, 4: 1}


@dataclass(frozen=True)
class Deadly:
    """An input, of which each of its first `deaths` readers is killed in the middle."""

    name: str
    deaths: int
    size: int = 0
    tag: str = ""

    def open(self):
        return Dying(Path(self.name), self.deaths)


class Dying(BytesIO):
    def __init__(self, path, deaths):
        super().__init__(path.read_bytes())
        self._path, self._deaths = path, deaths

    def read1(self, _size=-1):
        data = super().read1(1000)
        if self.tell() > 5000 and self._is_to_die():
            os.kill(os.getpid(), signal.SIGKILL)
        return data

    def _is_to_die(self):
        for number in range(self._deaths):
            try:
                self._path.with_suffix(f".died{number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            return True
        return False


def inputs_in(folder, deaths=DEATHS):
    """Files whose keys overlap: the later file has the later row."""
    for number in range(FILES):
        rows = [record({"id": number * ROWS // 2 + n, "file": number}) for n in range(ROWS)]
        messages = [schema({"id": INT, "file": INT}, ["id"]), *rows, state({"file": number})]
        path = folder / f"{number}.singer"
        path.write_text("".join(json.dumps(message) + "\n" for message in messages))
        yield Deadly(str(path), deaths.get(number, 0))


def load_by(backend, url, inputs, tell=lambda _state: None):
    """The report of a run by two workers of that backend."""
    settings = Settings(pipeline="p", batch_rows=50, parallel={"backend": backend, "workers": 2})
    target = Target(open_destination(url, {}), settings, tell=tell)
    try:
        target.begin()
        return InputFeed(target, settings, [*inputs], stopping=threading.Event()).run()
    finally:
        target.close()


if __name__ == "__main__":
    told = []
    done = load_by(sys.argv[1], sys.argv[2], inputs_in(Path(sys.argv[3])), told.append)
    report = {"read": done.total.read, "uncommitted": done.total.uncommitted, "told": [*map(json.loads, told)]}
    sys.stdout.write(json.dumps(report) + "\n")
