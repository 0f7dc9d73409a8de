"""The kit of document stores and search engines: one document a row, written by its id, undone unless committed."""
