"""What a driver's errors mean: in our words with what to do, and whether rows, tables or nobody is to blame."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from msgspec import Struct

from tailrace.errors import DestinationError
from tailrace.sql.remedies import Remedy, advised

NEVER = r"(?!)"
"""The regular expression that nothing matches."""


class ErrorRules(Struct, frozen=True):
    """The errors of one driver, as data.

    `raised` are its classes. `state_of` gives an error's SQLSTATE, number or name, which remedies go by, and behind a
    space what else there is to tell it by; it is empty for the driver's own errors. `words_of` gives what it says,
    without values of rows. The regular expressions are matched from the beginning of both,
    with a space between them: `transient` are errors that may pass, `about_rows` those that values are to blame for,
    `about_tables` those that say that there is no such table: of such types, so wide, so keyed. Errors of the classes
    `lost` that have no state mean that the connection is gone, and may pass, unless `lasting` is found in their text.
    """

    name: str
    raised: tuple[type[BaseException], ...]
    state_of: Callable[[BaseException], str]
    words_of: Callable[[BaseException], str]
    remedies: Sequence[Remedy]
    transient: str = NEVER
    about_rows: str = NEVER
    about_tables: str = NEVER
    lost: tuple[type[BaseException], ...] = ()
    lasting: str = NEVER
    quote: str = '"'

    def is_about_rows(self, error: BaseException | None) -> bool:
        """Whether values of rows are to blame, as when they break a constraint."""
        return self._matches(self.about_rows, error)

    def is_about_tables(self, error: BaseException | None) -> bool:
        """Whether the database has no such table."""
        return self._matches(self.about_tables, error)

    def is_transient(self, error: BaseException | None) -> bool:
        """Whether what failed may succeed later."""
        if not isinstance(error, self.raised) or self._matches(self.transient, error):
            return isinstance(error, self.raised)
        is_lost = not self.state_of(error) and isinstance(error, self.lost)
        return is_lost and not re.search(self.lasting, str(error))

    def said(self, error: BaseException, **known: object) -> str:
        """What it says, and what to do."""
        state, _, _ = self.state_of(error).partition(" ")
        return advised(self.words_of(error), state, self.remedies, self.quote, **known)

    @contextmanager
    def translated(self, **known: object) -> Iterator[None]:
        """Raise the driver's errors as ours; `known` are names for the remedies."""
        try:
            yield
        except self.raised as error:
            raise DestinationError(f"{self.name}: {self.said(error, **known)}") from error

    def _matches(self, pattern: str, error: BaseException | None) -> bool:
        if not isinstance(error, self.raised):
            return False
        return re.match(pattern, f"{self.state_of(error)} {self.words_of(error)}", re.DOTALL) is not None
