"""Inputs: which files an argument names, and how each is opened, on this machine or on an object store."""
