"""The kit of destinations whose tables are files on object stores."""

from tailrace.alone import imported

imported("pyarrow.parquet")  # as Arrow itself was
