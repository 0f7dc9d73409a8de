"""Conformance suites, importable by the authors of destinations and decoders."""
