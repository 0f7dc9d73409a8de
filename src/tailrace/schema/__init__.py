"""Shapes in, shapes out: JSON Schema and Arrow to columns, names, and what a table lacks. Pure functions."""
