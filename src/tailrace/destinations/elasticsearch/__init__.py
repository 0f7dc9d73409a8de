"""Elasticsearch: a document for each row, in an index for each stream; what isn't committed is undone.

*Durable when* the checkpoint's record is acknowledged by its primary and all copies in sync, which have it on disk.
*Visible when* the index is refreshed, within the commit; a run that ends before its checkpoint is undone by the next.
*Load verb* bulk requests over several connections.
*Source* https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk and
https://www.elastic.co/docs/reference/elasticsearch/index-settings/translog

A key makes the `_id`. Documents are written with external versions, so that a late request never overwrites a newer
document; those without a key say in `_tailrace` which pipeline and checkpoint they are from.
"""

from __future__ import annotations

from tailrace.destination import Destination
from tailrace.destinations.elasticsearch.client import ElasticsearchConnection, Settings
from tailrace.documents.destination import DocumentDestination
from tailrace.documents.search.database import SearchDatabase
from tailrace.documents.search.settings import from_url
from tailrace.documents.search.traits import ALTERABLE, TYPES, traits_of

__all__ = ["SETTINGS", "TRAITS", "TYPES", "build", "from_url"]

TRAITS = traits_of("Elasticsearch")
SETTINGS = Settings
LACKS = frozenset({"flat_object"})


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    database = SearchDatabase(settings, ElasticsearchConnection, TRAITS.name, LACKS)
    return DocumentDestination(database, TRAITS, ALTERABLE)
