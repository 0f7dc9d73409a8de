"""Which implementation decodes."""

import subprocess
import sys

from tailrace.decode import IMPLEMENTATION

SCRIPT = """
from tailrace.decode import IMPLEMENTATION, decoder
print(IMPLEMENTATION, decoder("stream", "clock"))
"""


def test_without_tailrace_native_pyarrow_decodes():
    assert IMPLEMENTATION == "vectorised"


def test_tailrace_native_decodes_when_it_is_installed(tmp_path):
    (tmp_path / "tailrace_native.py").write_text(
        "def Decoder(stream, clock):\n    return f'for {stream} and {clock}'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "native for stream and clock\n"
