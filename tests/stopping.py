"""Commits to lakes that end where a crash would: around the entry that decides a checkpoint, or behind a table."""


class StoppedError(BaseException):
    """What ends a commit; no one in the code catches it."""


def stop_at_the_entry(destination, moment):
    """Let the next commit end by StoppedError, before or after its entry is in the journal."""
    journal = destination._journal
    add = journal.add

    def stopped(entry):
        if moment == "after":
            add(entry)
        raise StoppedError

    journal.add = stopped


def stop_behind_table(destination, number):
    """Let the next commit end by StoppedError once so many tables have been brought to its entry."""
    tables = destination._tables
    bring, done = tables.bring, []

    def stopped(entry, change):
        published = bring(entry, change)
        done.append(change)
        if len(done) == number:
            raise StoppedError
        return published

    tables.bring = stopped
