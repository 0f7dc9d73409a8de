"""Write an Arrow table that is in memory: `write_arrow.py INPUT OUTPUT files|delta` tells its seconds on stderr."""

import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import WriterProperties, write_deltalake


def main() -> None:
    """Read the table; then write it, and tell the seconds on the clock and on the processor that this took."""
    source, output, kind = sys.argv[1:]
    with pa.OSFile(source) as file:
        table = pa.ipc.open_file(file).read_all()
    started_s, on_processor_s = time.perf_counter(), time.process_time()
    if kind == "delta":
        write_deltalake(output, table, writer_properties=WriterProperties(compression="ZSTD"))
    else:
        pq.write_table(table, f"{output}.parquet", compression="zstd")
    sys.stderr.write(f"{time.perf_counter() - started_s} {time.process_time() - on_processor_s}\n")


if __name__ == "__main__":
    main()
