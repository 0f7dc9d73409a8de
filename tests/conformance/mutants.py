"""All wrong destinations: each does one thing wrong that its author might, and everything else right."""

import mutants_of_rows
import mutants_of_runs
import mutants_of_values

MUTANTS = [
    found
    for file in (mutants_of_values, mutants_of_rows, mutants_of_runs)
    for found in vars(file).values()
    if isinstance(found, type) and found.__module__ == file.__name__
]
"""Subclasses of Mutant, in the order they are written."""
