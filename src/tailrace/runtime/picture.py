"""The picture of a run on a terminal: what is being read on top, what is finished in one line, total and footer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

from msgspec import Struct

from tailrace.log import printable
from tailrace.runtime.texttable import GAP, NAME_WIDTH, folded, in_time, in_units, lines_of, width_of

DOT = " · "


class StreamProgress(Struct, frozen=True):
    """How far a stream is: records read, and a second of late; their bytes; rows that wait for a commit; rows loaded.

    `left` are records that aren't accounted for yet. `is_current`: some came in the last seconds.
    """

    name: str
    read: int = 0
    rate: float = 0.0
    size: int = 0
    staged: int = 0
    loaded: int = 0
    left: int = 0
    is_current: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether all that came of it is loaded, and nothing comes any more for now."""
        return self.read > 0 and self.left <= 0 and not self.is_current


class Moment(Struct, frozen=True):
    """A run at one moment; streams in the order of their first message. `share` of the input is read, if that is known.

    `held` are bytes of records in memory; `checkpoint` is the last one's number, None before the run's first.
    """

    title: str
    streams: Sequence[StreamProgress]
    elapsed_s: float
    held: int = 0
    checkpoint: int | None = None
    share: float | None = None


_Figure = Callable[[StreamProgress], str]
_COLUMNS: dict[str, _Figure] = {
    "records": lambda stream: f"{stream.read:,}",
    "records/s": lambda stream: f"{stream.rate:,.0f}",
    "bytes": lambda stream: in_units(stream.size),
    "staged": lambda stream: f"{stream.staged:,}",
    "loaded": lambda stream: f"{stream.loaded:,}",
}
_LEAST = ("bytes", "staged", "records/s", "loaded")
"""The columns that are left out first where a terminal is narrow."""

_MIN_LEFT_S, _MIN_SHARE = 2.0, 0.01
"""From when on the time that is left can be told."""


def picture(moment: Moment, width: int, height: int) -> list[str]:
    """The lines, at most so many; the last of them are the total and the footer, whatever the height."""
    title, footer = folded(printable(moment.title), width), _footer(moment, width)
    if not moment.streams:
        return [title, footer][-height:]
    total = [_sum("total", moment.streams)] if len(moment.streams) > 1 else []
    rows = [*_rows(moment.streams, height - 3 - len(total)), *total]
    return [title, *_table(rows, width), footer][-height:]


def _rows(streams: Sequence[StreamProgress], space: int) -> list[StreamProgress]:
    """What is being read, the latest first, then what waits for its commit; all else in a line of each kind."""
    finished = [stream for stream in streams if stream.is_finished]
    empty = [stream for stream in streams if not stream.read]
    going = [stream for stream in reversed(streams) if stream.read and not stream.is_finished]
    going.sort(key=lambda stream: not stream.is_current)
    folds = [
        *([_sum(f"… {len(finished):,} done", finished)] if len(finished) > 1 else finished),
        *([_sum(f"… {len(empty):,} empty", empty)] if len(empty) > 1 else empty),
    ]
    if len(going) + len(folds) > space:
        shown = max(space - len(folds) - 1, 0)
        hidden = going[shown:]
        going[shown:] = [_sum(f"… {len(hidden):,} more", hidden)] if hidden else []
    return [*going, *folds]


def _sum(name: str, streams: Sequence[StreamProgress]) -> StreamProgress:
    return StreamProgress(
        name,
        read=sum(stream.read for stream in streams),
        rate=sum(stream.rate for stream in streams),
        size=sum(stream.size for stream in streams),
        staged=sum(stream.staged for stream in streams),
        loaded=sum(stream.loaded for stream in streams),
    )


def _table(streams: Sequence[StreamProgress], width: int) -> list[str]:
    """The table with as many columns as the terminal has room for."""
    names = [printable(stream.name) for stream in streams]
    cells = {heading: [heading, *map(figure, streams)] for heading, figure in _COLUMNS.items()}
    widths = {heading: len(GAP) + max(map(len, texts)) for heading, texts in cells.items()}
    longest = max(NAME_WIDTH, *map(width_of, names))
    for wanted in (longest, NAME_WIDTH):
        for dropped in _LEAST[: 1 if wanted > NAME_WIDTH else None]:
            if sum(widths.values()) + wanted <= width:
                break
            widths.pop(dropped, None)
    rows = zip(["stream", *names], *(cells[heading] for heading in widths), strict=True)
    return lines_of([list(row) for row in rows], width)


def _footer(moment: Moment, width: int) -> str:
    """Share and time left, time so far, checkpoint and memory; the last of these go first where there is no room."""
    checkpoint = "no checkpoint yet" if moment.checkpoint is None else f"checkpoint {moment.checkpoint:,}"
    parts = [*_expected(moment), in_time(moment.elapsed_s), checkpoint, f"{in_units(moment.held)} in memory"]
    fitting = (DOT.join(parts[: len(parts) - dropped]) for dropped in count())
    return next(text for text in fitting if len(text) <= width or DOT not in text)


def _expected(moment: Moment) -> list[str]:
    share = moment.share
    if share is None:
        return []
    percent = f"{int(share * 100)}%"
    if share < _MIN_SHARE or moment.elapsed_s < _MIN_LEFT_S or share >= 1:
        return [percent]
    return [percent, f"{in_time(moment.elapsed_s * (1 - share) / share)} left"]
