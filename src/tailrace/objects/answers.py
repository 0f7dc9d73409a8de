"""What object stores and AWS answer: whether it may pass, and what to do if it won't."""

from __future__ import annotations

import re
from typing import Any

_STATUS = re.compile(r"\b(?:status(?: code)?:? |HTTP status )(\d{3})\b")
_CODES = (
    re.compile(r"<Code>\s*(\w+)\s*</Code>"),
    re.compile(r"An error occurred \((\w+)\)"),
    re.compile(r'"reason":\s*"(\w+)"'),
    re.compile(r"ExceptionName: (\w+)"),
    re.compile(r"AWS Error ([A-Z_]+)"),
)
_BODY = re.compile(r"\s*[-:]?\s*(?:<\?xml|<Error|<!DOCTYPE|<html|\{\s*\"error\").*", re.DOTALL | re.IGNORECASE)
_NOISE = re.compile(r"Generic \w+ error: | \(os error \d+\)")
_BUCKET = re.compile(r"\bbucket '([^']+)'")
_TURN = re.compile(r"RequestTime(?:d?out|outException)|SlowDown|Throttl|TooManyRequests|RequestLimitExceeded|Conflict")
"""Codes that pass, whatever their status."""

_TURNED_AWAY = frozenset({408, 409, 412, 425, 429})
"""Statuses that pass, though they are below 500: slow clients, conflicts, and too many requests."""

_ENDED = "its keys have ended: give new ones, or set `role_arn`"
_UNKNOWN = "it doesn't know its keys: mend `access_key_id` and `secret_access_key`"
_FORBIDDEN = "it isn't allowed: give the keys the permissions that the destination's page lists"
_REGION = "the bucket is in another region: set `region` to the bucket's"
_MISSING = "there is no such bucket: make it, or mend the address"
_MISNAMED = "no bucket can have that name: mend the address"
_CLOCK = "the clock of this machine is wrong: set it"
_KEYLESS = (
    "no keys were found: set `access_key_id` and `secret_access_key`, `role_arn`, or what AWS's own tools look for "
    "(AWS_ACCESS_KEY_ID, AWS_PROFILE, a role of the machine)"
)
_UNWRITABLE = "this user may not write there: let the user write to the folder, or load into another one"
_WAYS = (
    (re.compile(r"expired_?token|token_?refresh_?required|token.{0,20}expired", re.IGNORECASE), _ENDED),
    (re.compile(r"RequestTimeTooSkewed|REQUEST_TIME_TOO_SKEWED"), _CLOCK),
    (
        re.compile(
            r"InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|InvalidClientTokenId|UnrecognizedClient|"
            r"AuthenticationFailed|INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH|INVALID_CLIENT_TOKEN_ID"
        ),
        _UNKNOWN,
    ),
    (
        re.compile(
            r"PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraint|configured region|"
            r"HTTP status 301|status code: 301|\(301\)"
        ),
        _REGION,
    ),
    (re.compile(r"InvalidBucketName|INVALID_BUCKET_NAME|Invalid bucket name"), _MISNAMED),
    (re.compile(r"Permission denied|Operation not permitted|Read-only file system"), _UNWRITABLE),
    (re.compile(r"NoSuchBucket|NO_SUCH_BUCKET|ContainerNotFound|bucket does not exist"), _MISSING),
    (
        re.compile(r"[Cc]redentials? (?:could )?not found|Unable to locate credentials|NoCredentials|Partial cred"),
        _KEYLESS,
    ),
    (re.compile(r"\b401\b.{0,3}Unauthorized|HTTP status 401|valid authentication credentials"), _UNKNOWN),
    (
        re.compile(
            r"AccessDenied|ACCESS_DENIED|\b403\b.{0,3}Forbidden|HTTP status 403|\(403\)|necessary privileges|"
            r"operation lacked"
        ),
        _FORBIDDEN,
    ),
)
"""What to do about an answer, by what it contains; the first match counts."""


def is_lasting(text: str) -> bool:
    """Whether a store will answer the same again, by the text of its answer."""
    if _TURN.search(_code(text)):
        return False
    status = _STATUS.search(text)
    if status:
        number = int(status.group(1))
        return 300 <= number < 500 and number not in _TURNED_AWAY  # noqa: PLR2004 of redirects and of what clients did
    return _way(text) is not None


def is_of_ended_keys(text: str) -> bool:
    """Whether temporary keys have expired, so that new ones may help."""
    return _way(text) == _ENDED


def is_missing_bucket(text: str) -> bool:
    """Whether the bucket is missing, not a file."""
    return _way(text) == _MISSING


def explained(error: BaseException) -> str:
    """An error in words: without a driver's own details, and with what to do about it if that is known."""
    text = str(error)
    way, code = _way(text), _code(text)
    status = _STATUS.search(text)
    short = " ".join(found for found in (status and status.group(1), code) if found)
    if way:
        bucket = _BUCKET.search(text)
        place = f"the bucket {bucket.group(1)!r}: " if bucket else ""
        return f"{place}{way} ({short})" if short else f"{place}{way}"
    first = _BODY.sub("", _NOISE.sub("", text).strip().removeprefix("Kernel error -> ")).partition("\n")[0].strip()
    return f"{first} ({code})" if code and code not in first else first


def is_aws_busy(answer: Any) -> bool:
    """Whether AWS answered that it is too busy, or failed, by the response of a ClientError of botocore."""
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(answer.get("Error", {}).get("Code", ""))
    return status >= 500 or status in _TURNED_AWAY or bool(_TURN.search(code))  # noqa: PLR2004 of what servers did


def _way(text: str) -> str | None:
    return next((way for pattern, way in _WAYS if pattern.search(text)), None)


def _code(text: str) -> str:
    found = (pattern.search(text) for pattern in _CODES)
    return next((each.group(1) for each in found if each), "")
