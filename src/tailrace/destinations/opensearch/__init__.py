"""OpenSearch: a document for each row, in an index for each stream; what isn't committed is undone.

*Durable when* the checkpoint's record is acknowledged by its primary and all copies in sync, which have it on disk.
*Visible when* the index is refreshed, within the commit; a run that ends before its checkpoint is undone by the next.
*Load verb* bulk requests over several connections.
*Source* https://docs.opensearch.org/latest/api-reference/document-apis/bulk/ and
https://docs.opensearch.org/latest/im-plugin/index-settings/

A key makes the `_id`. Documents are written with external versions, so that a late request never overwrites a newer
document; those without a key say in `_tailrace` which pipeline and checkpoint they are from.
"""

from __future__ import annotations

from tailrace.destination import Destination
from tailrace.destinations.opensearch.client import OpenSearchConnection
from tailrace.documents.destination import DocumentDestination
from tailrace.documents.search.database import SearchDatabase
from tailrace.documents.search.settings import SearchSettings, from_url
from tailrace.documents.search.traits import ALTERABLE, TYPES, traits_of

__all__ = ["SETTINGS", "TRAITS", "TYPES", "build", "from_url"]

TRAITS = traits_of("OpenSearch")
SETTINGS = SearchSettings
LACKS = frozenset({"flattened"})


def build(settings: SearchSettings) -> Destination:
    """The destination of these settings."""
    database = SearchDatabase(settings, OpenSearchConnection, TRAITS.name, LACKS)
    return DocumentDestination(database, TRAITS, ALTERABLE)
