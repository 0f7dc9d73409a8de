"""Commands that stand in for other loaders: they take the same options, files and lines."""
