"""What comes to pass at an instant of a lake's commit: the end of it as by a crash, or another writer's doing."""

from collections.abc import Callable


class StoppedError(BaseException):
    """What ends a commit; no one in the code catches it."""


def stop():
    """End what is being done, as the end of the process would."""
    raise StoppedError


def when_staged(destination, do: Callable[[], None]):
    """Do that whenever a batch is staged."""
    stage = destination.stage

    def staged(batch):
        receipt = stage(batch)
        do()
        return receipt

    destination.stage = staged


def when_entered(destination, do: Callable[[], None], *, before=False):
    """Do that when the entry of a checkpoint is in the pipeline's journal, or right before it is."""
    tables = destination._tables
    journal_of = tables.journal

    def watched(pipeline):
        return _watched(journal_of(pipeline), do, before=before)

    tables.journal = watched
    if destination._journal is not None:
        _watched(destination._journal, do, before=before)


def when_applied(destination, do: Callable[[], None], *, tables=1):
    """Do that once so many tables have been brought to the entry of a checkpoint."""
    apply, done = destination._tables.apply, []

    def applied(entry, change):
        published = apply(entry, change)
        done.append(change)
        if len(done) == tables:
            do()
        return published

    destination._tables.apply = applied


def when_committed(destination, do: Callable[[], None]):
    """Do that when a checkpoint is committed, and whoever commits doesn't know it yet."""
    commit = destination.commit

    def committed(checkpoint):
        published = commit(checkpoint)
        do()
        return published

    destination.commit = committed


def _watched(journal, do, *, before):
    add = journal.add

    def added(entry):
        if entry.is_takeover:
            return add(entry)
        is_added = False
        if not before:
            is_added = add(entry)
        do()
        return add(entry) if before else is_added

    journal.add = added
    return journal
