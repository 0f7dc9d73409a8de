"""How the tables of streams are laid out: indexes, keys of sorting and distribution, partitions, and options."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tailrace.config.settings import Names
from tailrace.errors import ConfigError
from tailrace.model import Stream

OptionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.]*$")]


class Design(BaseModel):
    """The layout of a table, in names of its columns. It counts when the table is made; one that is there stays."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    indexes: tuple[Names, ...] = Field((), description="The columns of each index.")
    sort_keys: Names = Field((), description="The columns that rows are sorted by.")
    dist_key: str = Field("", description="The column that rows are distributed by.")
    cluster_by: Names = Field((), description="The columns that rows are clustered by.")
    partition_by: str = Field("", description="The column that the table is partitioned by.")
    partition_unit: Literal["HOUR", "DAY", "MONTH", "YEAR"] = Field(
        "DAY", description="How much of time a partition is, where that column is one of time."
    )
    partition_range: tuple[int, int, Annotated[int, Field(gt=0)]] | None = Field(
        None, description="The first number, the one after the last, and how many numbers a partition is of."
    )
    options: dict[OptionName, str | int | float | bool] = Field(
        default_factory=dict, description="Options of CREATE TABLE, by the database's own names."
    )

    @property
    def columns(self) -> set[str]:
        """The columns that are spoken of."""
        indexed = {name for index in self.indexes for name in index}
        return {*indexed, *self.sort_keys, *self.cluster_by, self.dist_key, self.partition_by} - {""}


PLAIN = Design.model_construct()
"""The layout of our own tables, and of those that nothing is said about."""

Designs = Annotated[
    dict[str, Design],
    Field(
        default_factory=dict,
        description="How new tables are laid out, by stream name or glob; the first that matches counts. "
        "What there is to say is on the destination's page.",
    ),
]
"""The setting of a destination's."""


def require_known(designs: Mapping[str, Design], known: frozenset[str], database: str) -> None:
    """Raise ConfigError where a layout asks for what the database doesn't have."""
    for pattern, design in designs.items():
        if unknown := design.model_fields_set - known:
            raise ConfigError(
                f"{database} has no {', '.join(sorted(unknown))}",
                key=f"design.{pattern}",
                hint=f"it has {', '.join(sorted(known))}" if known else "leave `design` out",
            )


def design_of(designs: Mapping[str, Design], stream: Stream) -> Design:
    """The layout of the stream's table; ConfigError where it speaks of a column that the table won't have."""
    names = {column.name for column in stream.columns}
    for pattern, design in designs.items():
        if fnmatch.fnmatchcase(stream.name, pattern):
            if missing := design.columns - names:
                raise ConfigError(
                    f"stream {stream.name!r} has no column {min(missing)!r}",
                    key=f"design.{pattern}",
                    hint=f"it has {', '.join(sorted(names))}",
                )
            return design
    return PLAIN
