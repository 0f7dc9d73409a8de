"""How requests of BigQuery's driver are tried again: which errors pass it knows best, and we how long to try."""

from __future__ import annotations

from typing import Any

from google.cloud.bigquery.retry import DEFAULT_RETRY


def asking(timeout: float) -> dict[str, Any]:
    """What a call of the driver is given that may take so many seconds; it would try for ten minutes."""
    return {"retry": DEFAULT_RETRY.with_timeout(timeout), "timeout": timeout}
