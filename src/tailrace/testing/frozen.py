"""Imported last by a process that others are forked from: what it has is never garbage, and its coverage is saved.

A process that looks for garbage writes to all that it has, and so copies all of its parent's memory. One that counts
lines would save those of its parent as its own.
"""

import gc
import sys

if (coverage := sys.modules.get("coverage")) and (counting := coverage.Coverage.current()):
    counting.save()
gc.freeze()
