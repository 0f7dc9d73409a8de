"""What the errors of BigQuery's drivers mean."""

from __future__ import annotations

import re

from google.api_core.exceptions import GoogleAPICallError, GoogleAPIError
from google.auth.exceptions import GoogleAuthError, TransportError
from google.resumable_media.common import DataCorruption, InvalidResponse
from requests.exceptions import RequestException

from tailrace.sql.error_rules import ErrorRules
from tailrace.sql.remedies import Remedy

_REMEDIES = (
    Remedy("auth", "", "set `path_to_credentials_json_file` or `credentials_info` to a key that is valid"),
    Remedy("accessDenied", "", "grant the account the roles that the page on BigQuery names"),
    Remedy("billingNotEnabled|billingTierLimitExceeded", "", "enable billing for the project"),
    Remedy("quotaExceeded", "", "load less often (`checkpoint_age_s`), or ask for a larger quota"),
    Remedy("notFound", "(?i)dataset|project", "check `project_id`, `dataset` and `location`"),
    Remedy("notFound", "", "another program has dropped it, or the account may not see it: run again"),
    Remedy("duplicate", "", "set another `table:`, or drop what is there"),
    Remedy("resourcesExceeded|responseTooLarge", "", "load fewer rows at once (`checkpoint_rows`)"),
    Remedy("invalidQuery|invalid|outOfRange", "(?i)null|range|overflow", "remove the rows that break it"),
    Remedy("invalidQuery", "(?i)concurrent update", "run again once the other run has ended"),
    Remedy("invalidQuery", "(?i)tables.*transaction|transaction.*tables", "load fewer streams in one pipeline"),
    Remedy("rateLimitExceeded|backendError|internalError|unavailable|", "", "run again"),
)
_REASONS = {401: "auth", 403: "accessDenied", 404: "notFound", 409: "duplicate", 429: "rateLimitExceeded"}
_UNAVAILABLE = 500
_PASSING = {"ABORTED", "CANCELLED", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "UNKNOWN"}
"""The states of calls of the Storage Write API that may pass."""
_QUOTED = re.compile(r"""\s*(["'])(?:(?!\1).)*(\1|$)""")
_VALUES = re.compile(r":.*")
_ABOUT_ROWS = r"(?i:required field|be null|not null|out of range|overflow)"
_GONE = "(not found|invalid|terminated|aborted|expired)"
_IS_GONE = rf"(?i:session.*{_GONE}|{_GONE}.*session)"


def _state_of(error: BaseException) -> str:
    """The reason, as BigQuery names it."""
    if isinstance(error, GoogleAuthError):
        return "unavailable" if isinstance(error, TransportError) or error.retryable else "auth"
    if isinstance(error, InvalidResponse):
        return _by_status(error.response.status_code)
    if not isinstance(error, GoogleAPICallError):
        return ""
    if error.grpc_status_code is not None and error.grpc_status_code.name in _PASSING:
        return "unavailable"
    reasons = [str(told["reason"]) for told in error.errors if isinstance(told, dict) and told.get("reason")]
    return reasons[0] if reasons else _by_status(int(error.code or 0))


def _by_status(code: int) -> str:
    return "unavailable" if code >= _UNAVAILABLE else _REASONS.get(code, "invalid")


def _words_of(error: BaseException) -> str:
    """What it says in a line, without the request, nor values behind a colon or a quotation mark."""
    if not isinstance(error, GoogleAPICallError):
        return (
            type(error).__name__ if isinstance(error, RequestException | GoogleAPIError | TimeoutError) else str(error)
        )
    told = [told for told in error.errors if isinstance(told, dict) and told.get("message")]
    words = str(told[0]["message"] if told else error.message).strip().partition("\n")[0]
    if _state_of(error).startswith("invalid") or _state_of(error) == "outOfRange":
        words = _QUOTED.sub("", words)
    if "value" in words.lower() or re.search(_ABOUT_ROWS, words):
        words = _VALUES.sub("", words)
    return words


RULES = ErrorRules(
    name="BigQuery",
    raised=(GoogleAPIError, GoogleAuthError, RequestException, InvalidResponse, DataCorruption, TimeoutError),
    state_of=_state_of,
    words_of=_words_of,
    remedies=_REMEDIES,
    transient=r"(rateLimitExceeded|jobRateLimitExceeded|backendError|internalError|jobBackendError|jobInternalError"
    r"|tableUnavailable|unavailable|stopped) "
    rf"|(invalidQuery|invalid|notFound) .*(concurrent update|{_IS_GONE})",
    about_rows=rf"(invalidQuery|invalid|outOfRange) .*{_ABOUT_ROWS}",
    about_tables=r"(invalidQuery|invalid) ",
    lost=(RequestException, DataCorruption, GoogleAPIError, TimeoutError),
    quote="`",
)
