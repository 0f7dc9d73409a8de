"""Writes of documents as requests, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tailrace.documents.database import Action, Mark, Outcome, Write
from tailrace.documents.search.bulk import DONE_BELOW, Item, Request
from tailrace.documents.search.cluster import CONFLICT, NOT_FOUND, TOO_LARGE, AnswerError
from tailrace.documents.search.mappings import MARK
from tailrace.documents.search.reading import Document
from tailrace.errors import DestinationError

_REFUSED = frozenset({400, TOO_LARGE})
"""Statuses of documents that the index can't have; others are failures of the cluster, or of what we may do."""

_NO_INDEX = "index_not_found_exception"


class Written:
    """Writes, and their outcomes as they become known. `creates` says that documents can only be created."""

    def __init__(self, writes: Sequence[Write], mark: Mark, *, creates: bool = False) -> None:
        self._creates = creates
        self._writes = writes
        self._mark = mark
        self._outcomes: list[Outcome | str | None] = [_known(write) for write in writes]
        stamp = {"pipeline": mark.pipeline, "checkpoint": mark.checkpoint, "version": mark.version}
        self._stamp = {MARK: msgspec.Raw(msgspec.json.encode(stamp))}

    def left(self) -> list[int]:
        """The places of writes that are still to be made."""
        return [at for at, outcome in enumerate(self._outcomes) if outcome is None]

    def request(self, at: int) -> Request:
        """What asks for a write."""
        write, version = self._writes[at], self._mark.version
        if write.action is Action.DELETE:
            return Request("delete", write.id, version)
        if write.action is Action.CREATE or (write.action is Action.ADD and self._creates):
            return Request("create", write.id, None, msgspec.json.encode(write.fields | write.kept | self._stamp))
        if write.action is Action.ADD:  # with a version, so that it isn't brought back once it is undone
            return Request("index", write.id, version, msgspec.json.encode(write.fields | self._stamp))
        if write.action is Action.SET and write.before is not None:
            fields = write.before.fields | write.fields
            fields.pop(MARK, None)
        else:
            fields = write.fields | write.kept
        return Request("index", write.id, version, msgspec.json.encode(fields))

    def take(self, asked: Sequence[int], items: Sequence[Item], product: str) -> list[int]:
        """Take the items of an answer; gives the places of writes that have met another version of the document."""
        doubtful: list[int] = []
        for at, item in zip(asked, items, strict=True):
            is_gone = item.status == NOT_FOUND and item.error is None
            if item.status < DONE_BELOW or (is_gone and self._writes[at].action is Action.DELETE):
                self._outcomes[at] = Outcome.DONE
            elif item.status == CONFLICT:
                doubtful.append(at)
            elif item.status in _REFUSED and not (item.error and item.error.type == _NO_INDEX):
                self._outcomes[at] = item.reason
            else:
                error = DestinationError(f"{product} answers {item.status} to a document: {item.reason}")
                raise error from AnswerError(item.status, item.reason)
        return doubtful

    def look(self, places: Sequence[int], found: Sequence[Document | None]) -> tuple[str, int] | None:
        """Tell from the documents as they are now what became of these writes; some are to be made again.

        Gives the id and the version of a document with a later one than ours, if there is one.
        """
        later: tuple[str, int] | None = None
        for at, there in zip(places, found, strict=True):
            action = self._writes[at].action
            is_creation = action is Action.CREATE or (action is Action.ADD and self._creates)
            if there is None:
                # It is gone: by a deletion of a later version, which is known for a while, or just now.
                self._outcomes[at] = None if is_creation else Outcome.NEWER
            elif is_creation:
                self._outcomes[at] = Outcome.DONE if self._is_ours(there) else Outcome.EXISTS
            elif there.version > self._mark.version:
                self._outcomes[at] = Outcome.NEWER
                later = max(later or ("", 0), (there.id, there.version), key=lambda each: each[1])
        return later

    def outcomes(self, unsettled: str) -> list[Outcome | str]:
        """What became of each; those that aren't made after all are refused for that reason."""
        return [unsettled if outcome is None else outcome for outcome in self._outcomes]

    def _is_ours(self, there: Document) -> bool:
        mark = there.mark
        ours = (self._mark.pipeline, self._mark.checkpoint, self._mark.version)
        return (mark.get("pipeline"), mark.get("checkpoint"), mark.get("version")) == ours


def _known(write: Write) -> Outcome | None:
    """What is known before a write is made."""
    if write.action is Action.DELETE and write.before is None:
        return Outcome.DONE
    return Outcome.EXISTS if write.action is Action.CREATE and write.before is not None else None
