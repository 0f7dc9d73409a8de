"""What comes to pass at an instant of a lake's commit: the end of it as by a crash, or another writer's doing."""

from collections.abc import Callable
from itertools import count


class StoppedError(BaseException):
    """What ends a commit; no one in the code catches it."""


def stop():
    """End what is being done, as the end of the process would."""
    raise StoppedError


def when_staged(destination, do: Callable[[], None]):
    """Do that whenever a batch is staged."""
    _after(destination, "stage", do)


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
    """Do that once so many tables have applied the entry of a checkpoint."""
    numbers = count(1)

    def done():
        if next(numbers) == tables:
            do()

    _after(destination._tables, "apply", done)


def when_committed(destination, do: Callable[[], None]):
    """Do that when a checkpoint is committed, and whoever commits doesn't know it yet."""
    _after(destination, "commit", do)


def _after(owner, name, do):
    """Do that behind each call of a method, before who called it knows."""
    call = getattr(owner, name)

    def called(*arguments):
        result = call(*arguments)
        do()
        return result

    setattr(owner, name, called)


def _watched(journal, do, *, before):
    add = journal.add

    def added(entry):
        if before and not entry.is_takeover:
            do()
        is_added = add(entry)
        if not before and not entry.is_takeover:
            do()
        return is_added

    journal.add = added
    return journal
