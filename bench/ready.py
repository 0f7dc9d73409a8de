"""The rows of a Singer file as an Arrow table: `ready.py INPUT OUTPUT` writes it as Arrow's own file."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
from contenders import decoded

from tailrace.model import LINE

if __name__ == "__main__":
    tables = [found.rows.drop_columns([LINE]) for found in decoded(Path(sys.argv[1]))]
    with pa.ipc.new_file(sys.argv[2], tables[0].schema) as output:
        for table in tables:
            output.write_table(table)
