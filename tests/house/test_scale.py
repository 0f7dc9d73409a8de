"""The page on scale says what the simulation comes to."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tables_of_the_page_are_those_of_the_simulation():
    printed = subprocess.run([sys.executable, ROOT / "bench" / "scale.py"], capture_output=True, check=True).stdout
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    assert [table for table in printed.decode().strip().split("\n\n") if table not in page] == []
