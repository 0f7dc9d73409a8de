"""One bulk write: a request for each document, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bson.int64 import Int64
from pymongo import DeleteOne, InsertOne, ReplaceOne, UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from tailrace.documents.database import VERSIONS, Action, Before, Mark, Outcome, Stored, Write

MARK = "_tailrace"
VERSION = f"{MARK}.version"
"""The field that says in which order documents were written."""

_DUPLICATE = 11000

Request = InsertOne[dict[str, Any]] | UpdateOne | ReplaceOne[dict[str, Any]] | DeleteOne


class Written:
    """Writes of a bulk, and their outcomes as they become known."""

    def __init__(self, writes: Sequence[Write], mark: Mark) -> None:
        self.writes = writes
        self.mark = mark
        self._is_there = [write.before is not None for write in writes]
        self._outcomes: list[Outcome | str | None] = [
            Outcome.DONE if write.action is Action.DELETE and write.before is None else None for write in writes
        ]
        for at, write in enumerate(writes):
            if write.action is Action.CREATE and write.before is not None:
                self._outcomes[at] = Outcome.EXISTS

    def left(self) -> list[int]:
        """The places of writes that are still to be made."""
        return [at for at, outcome in enumerate(self._outcomes) if outcome is None]

    def request(self, at: int) -> Request:
        """What asks for a write: an insertion unless the document is known to be there."""
        write, mark = self.writes[at], self.mark
        stamp = {"pipeline": mark.pipeline, "checkpoint": mark.checkpoint, "version": Int64(mark.version)}
        if write.action is not Action.DELETE and not self._is_there[at]:
            return InsertOne({"_id": write.id} | write.fields | write.kept | {MARK: stamp})
        condition = {"_id": write.id, VERSION: {"$not": {"$gt": Int64(mark.version)}}}
        if write.action is Action.DELETE:
            return DeleteOne(condition)
        if write.action is Action.PUT:
            return ReplaceOne(condition, {"_id": write.id} | write.fields | write.kept | {MARK: stamp})
        return UpdateOne(condition, {"$set": write.fields | {MARK: stamp}})

    def take(self, asked: Sequence[int], failed: Mapping[int, Mapping[str, Any]], matched: int) -> list[int]:
        """Take the answer to the requests; gives the places of those that have to be looked up."""
        conditional: list[int] = []
        doubtful: list[int] = []
        for number, at in enumerate(asked):
            is_insertion = self.writes[at].action is not Action.DELETE and not self._is_there[at]
            error = failed.get(number)
            if error is not None and is_insertion and _is_same_id(error):
                doubtful.append(at)
            elif error is not None:
                self._outcomes[at] = str(error.get("errmsg", "the database refuses the document"))
            elif is_insertion:
                self._outcomes[at] = Outcome.DONE
            else:
                conditional.append(at)
        if matched < len(conditional):
            return doubtful + conditional
        for at in conditional:
            self._outcomes[at] = Outcome.DONE
        return doubtful

    def look(self, places: Sequence[int], stored: Sequence[Stored | None]) -> None:
        """Tell from the documents as they are now what became of these writes; some are to be made again."""
        for at, there in zip(places, stored, strict=True):
            self._is_there[at] = there is not None
            action = self.writes[at].action
            if there is None:
                self._outcomes[at] = Outcome.DONE if action is Action.DELETE else None
            elif there.version == self.mark.version:
                self._outcomes[at] = Outcome.DONE
            elif action is Action.CREATE:
                self._outcomes[at] = Outcome.EXISTS
            elif there.version > self.mark.version:
                self._outcomes[at] = Outcome.NEWER

    def outcomes(self, unsettled: str) -> list[Outcome | str]:
        """What became of each; those that aren't made after all are refused for that reason."""
        return [unsettled if outcome is None else outcome for outcome in self._outcomes]


def _is_same_id(error: Mapping[str, Any]) -> bool:
    """Whether the document wasn't inserted since its id is taken."""
    return error.get("code") == _DUPLICATE and [*error.get("keyPattern", {})] == ["_id"]


def give_back(there: Collection[dict[str, Any]], documents: Sequence[Before], version: int, *, deletes: bool) -> None:
    """Give back what these were before, as far as they are of the VERSIONS that begin with that one, or gone.

    One that is gone is only given back where the run `deletes`: otherwise somebody else has deleted it.
    """
    ours = {VERSION: {"$gte": version, "$lt": version + VERSIONS}}
    made = [at for at, was in documents if was is None]
    changed = [was.fields for _, was in documents if was is not None]
    if made:
        there.delete_many({"_id": {"$in": made}} | ours)
    if not changed:
        return
    replacing = [ReplaceOne({"_id": fields["_id"]} | ours, fields) for fields in changed]
    if _replaced(there, replacing) == len(changed) or not deletes:
        return
    try:
        there.bulk_write([InsertOne(fields) for fields in changed], ordered=False)
    except BulkWriteError as error:  # what somebody else has put there stays
        if error.details["writeConcernErrors"] or not all(map(_is_same_id, error.details["writeErrors"])):
            raise


def _replaced(there: Collection[dict[str, Any]], replacing: Sequence[ReplaceOne[dict[str, Any]]]) -> int:
    """How many documents were replaced. A value of a unique index may first have to be given back by another one."""
    done = 0
    while True:
        try:
            return done + there.bulk_write([*replacing], ordered=False).matched_count
        except BulkWriteError as error:
            failed = error.details["writeErrors"]
            is_passing = all(each.get("code") == _DUPLICATE for each in failed) and len(failed) < len(replacing)
            if error.details["writeConcernErrors"] or not is_passing:
                raise
            done += error.details["nMatched"]
            replacing = [replacing[each["index"]] for each in failed]
