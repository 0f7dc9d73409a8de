"""What the errors of Redshift, of its driver and of S3 mean."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from botocore.exceptions import BotoCoreError, ClientError
from obstore.exceptions import BaseError
from redshift_connector.error import Error, InterfaceError, OperationalError

from tailrace.destinations.redshift.remedies import REDSHIFT
from tailrace.objects.answers import is_lasting
from tailrace.objects.errors import is_passing
from tailrace.sql.error_rules import ErrorRules


def _fields_of(error: BaseException) -> Mapping[str, str]:
    """What the server says, by the letters of its protocol; empty for the driver's own errors."""
    said = error.args[0] if isinstance(error, Error) and error.args else None
    return said if isinstance(said, dict) else {}


def _state_of(error: BaseException) -> str:
    """The SQLSTATE; of a broken connection and of S3 one of connections, which may pass, or one of systems."""
    if isinstance(error, Error):
        return str(_fields_of(error).get("C", ""))
    is_lost = isinstance(error, OSError | struct.error) and not is_lasting(str(error))
    return "08006" if is_lost or is_passing(error) else "58030"


def _words_of(error: BaseException) -> str:
    """What the server or the driver says."""
    if not isinstance(error, Error):
        return f"the connection is lost ({error})"
    fields = _fields_of(error)
    return " ".join(filter(None, (fields.get("M"), fields.get("D")))) if fields else " ".join(map(str, error.args))


RULES = ErrorRules(
    name="Redshift",
    # What the driver lets through when a connection breaks, and what S3 is called by, are among them.
    raised=(Error, OSError, struct.error, BaseError, BotoCoreError, ClientError),
    state_of=_state_of,
    words_of=_words_of,
    remedies=REDSHIFT,
    # Connections, serialization and deadlocks, resources, shutdown, locks, and what two sessions make at once; and of
    # what is internal serializable isolation violations, and S3 that is busy.
    transient="08|40|53|57P|55P03|42P06|42P07|42701|42710"
    "|XX000 .*(1023|1018|conflict with concurrent transaction|Please reduce your|InternalError)",
    about_rows="22|23",
    # Types that there aren't, and tables and keys that can't be made so.
    about_tables="22023|42601|42704|42P16|54011",
    lost=(OperationalError, InterfaceError),
    lasting="SSL|certificate|not known|nodename nor",
)
