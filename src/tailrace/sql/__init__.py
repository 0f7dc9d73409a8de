"""The kit for SQL destinations: a dialect as data, statements built with sqlglot, and a destination on top."""
