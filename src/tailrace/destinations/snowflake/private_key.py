"""A private key that stands in the settings, as the driver takes it."""

from __future__ import annotations

import textwrap

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import SecretStr

from tailrace.errors import ConfigError

_CANNOT_BE_READ = "it can't be read with what it is said to be encrypted with"


def key_of(text: SecretStr, password: SecretStr | None) -> bytes:
    """The key in PKCS #8, of PEM or of the Base64 in it; ConfigError, which tells nothing of it, where it is neither.

    Line breaks may be written as two characters, as in variables of an environment.
    """
    lines = text.get_secret_value().replace("\\n", "\n").strip()
    words = password.get_secret_value().encode() if password else None
    if not lines.startswith("-----BEGIN"):
        kind = "ENCRYPTED PRIVATE KEY" if words else "PRIVATE KEY"
        body = textwrap.fill("".join(lines.split()), 64)
        lines = f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n"
    try:
        key = load_pem_private_key(lines.encode(), words)
    except (ValueError, TypeError):  # not told: the key is in them
        key = None
    if key is None:
        raise ConfigError(_CANNOT_BE_READ, key="private_key", hint="set `private_key_file` to the file it is in")
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
