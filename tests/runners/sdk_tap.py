"""A tap on the Singer SDK: numbered rows from the bookmark on, as many as it is told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from singer_sdk import Stream, Tap
from singer_sdk import typing as th


class Numbers(Stream):
    """The rows."""

    name = "numbers"
    schema = th.PropertiesList(th.Property("n", th.IntegerType, required=True)).to_dict()
    primary_keys: ClassVar[tuple[str, ...]] = ()
    replication_key = "n"
    is_sorted = True

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        """The rows behind the bookmark."""
        after = self.get_starting_replication_key_value(context) or 0
        return ({"n": number} for number in range(int(after) + 1, self.config["until"] + 1))


class NumbersTap(Tap):
    """The tap."""

    name = "tap-numbers"
    config_jsonschema = th.PropertiesList(th.Property("until", th.IntegerType, required=True)).to_dict()

    def discover_streams(self) -> list[Stream]:
        """The one stream."""
        return [Numbers(self)]


if __name__ == "__main__":
    NumbersTap.cli()
