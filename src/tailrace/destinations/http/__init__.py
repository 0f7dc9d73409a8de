"""REST endpoints: batches as JSON, JSON Lines or forms, by requests that have a key each.

*Durable when* the endpoint has answered every request of the checkpoint with success, and the checkpoint is stored.
*Visible when* the endpoint shows it: a request's rows as soon as it has taken them.
*Load verb* POST, or the method that is set, with up to `max_rows` rows.
*Source* https://www.rfc-editor.org/rfc/rfc9110 and https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from __future__ import annotations

from collections.abc import Mapping

from tailrace.destination import Destination
from tailrace.destinations.http.destination import TRAITS as TRAITS
from tailrace.destinations.http.destination import HttpDestination
from tailrace.destinations.http.settings import SETTINGS as SETTINGS
from tailrace.destinations.http.settings import Settings
from tailrace.destinations.http.settings import from_url as from_url
from tailrace.model import Kind

TYPES: Mapping[Kind, str] = {
    Kind.BOOL: "true, false",
    Kind.INT: "number, all digits",
    Kind.FLOAT: "number",
    Kind.DECIMAL: "number, all digits; or a string of them",
    Kind.TEXT: "string",
    Kind.JSON: "JSON as it was sent",
    Kind.BINARY: "string, base64",
    Kind.DATE: "string, 2024-01-31",
    Kind.TIME: "string, 12:34:56.789",
    Kind.TIMESTAMP: "string, 2024-01-31T12:34:56.789",
    Kind.TIMESTAMPTZ: "string, 2024-01-31T12:34:56.789+00:00",
    Kind.UUID: "string",
}
"""What each kind is in JSON; in a form it is the text of that."""


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    return HttpDestination(settings)
