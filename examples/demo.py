"""The demo: a real tap reads the flights of New York in 2013, tailrace loads them into DuckDB, and DuckDB is asked."""
