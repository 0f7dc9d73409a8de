"""Names in the destination: spelled, shortened, and never the same for two fields."""

from __future__ import annotations

import hashlib
import re
import string
import unicodedata
from collections.abc import Mapping, Sequence

from tailrace.config import StreamSettings
from tailrace.errors import ConfigError, SchemaError
from tailrace.model import TableName, Traits

_HASH_DIGITS = 8
_OURS = "_tailrace"
"""What the names of our own tables, columns and folders begin with."""
_MAGE_WORDS = frozenset(
    {"as", "default", "from", "group", "join", "limit", "order", "references", "select", "to", "user", "where"}
)
"""The words of SQL that most of Mage's destinations put a `_` before."""


def snake(name: str) -> str:
    """The name in lower case, each run of other than letters, digits and `_` as one `_`, no digit first.

    Letters of every script stay; a name without any is `_`.
    """
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).lower())
    spelled = re.sub(" +", "_", "".join(character if _is_word(character) else " " for character in plain))
    return f"_{spelled}" if not spelled or spelled[0].isdigit() else spelled


def mage(name: str, naming: str, words: frozenset[str]) -> str:
    """The name as Mage's destinations spell columns, whose words of SQL get a `_`; `naming` says what is left out."""
    cased = name if "preserve" in naming else name.lower()
    spelled = re.sub(r"\W", "_", cased)
    return f"_{spelled}" if spelled.lower() in words and not naming.endswith("_words") else spelled or "_"


def _is_word(character: str) -> bool:
    return character == "_" or character.isalnum() or unicodedata.category(character).startswith("M")


def fitted(name: str, max_bytes: int) -> str:
    """The name, cut to that many bytes of UTF-8 with a hash of the whole at its end if it is longer."""
    encoded = name.encode()
    if len(encoded) <= max_bytes:
        return name
    ending = f"_{digest(name)}"
    kept = encoded[: max(0, max_bytes - len(ending))].decode(errors="ignore")
    return (kept + ending)[:max_bytes]


def digest(text: str) -> str:
    """A hash of the text, of eight characters."""
    return hashlib.blake2b(text.encode(), digest_size=_HASH_DIGITS // 2).hexdigest()


def destination_names(
    sources: Sequence[str],
    naming: str,
    traits: Traits,
    stream: str,
    given: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The destination's name of each source name; `given` are those that the operator has chosen.

    Raises SchemaError when two meet, naming both, and for names that can't be used as they are.
    """
    chosen = given or {}
    names: dict[str, str] = {}
    taken: dict[str, str] = {}
    for source in sources:
        name = chosen.get(source) or fitted(
            _allowed(_spelled(source, naming, stream, traits), traits), traits.max_name_length
        )
        folded = name if traits.case_sensitive else name.lower()
        if folded in taken:
            raise SchemaError(
                f"the fields {taken[folded]!r} and {source!r} would both be the column {name!r}; give one of them "
                "another `name` under `columns:`, or leave it out with `select: false` there",
                stream=stream,
                column=name,
            )
        if is_ours(name):
            raise SchemaError(
                f"the field {source!r} would be the column {name!r}, which tailrace keeps for itself, as all names "
                f"that begin with {_OURS!r}; give it another `name` under `columns:`, or leave it out with "
                "`select: false` there",
                stream=stream,
                column=name,
            )
        taken[folded] = source
        names[source] = name
    return names


def is_ours(name: str) -> bool:
    """Whether the name has the prefix of our own names, even for a database that ignores case and accents."""
    plain = unicodedata.normalize("NFKD", name)
    marks = ("Mn", "Mc", "Me", "Cf")
    return "".join(c for c in plain if unicodedata.category(c) not in marks).casefold().startswith(_OURS)


def _allowed(name: str, traits: Traits) -> str:
    """The name without characters that the destination can't have, and different from its reserved names."""
    usable = _usable(name, traits)
    return f"{usable}_" if usable.lower() in traits.reserved else usable


def _usable(name: str, traits: Traits) -> str:
    return re.sub(traits.unusable, "_", name) if traits.unusable else name


def _spelled(source: str, naming: str, stream: str, traits: Traits) -> str:
    if naming == "snake":
        return snake(source)
    if naming.startswith("mage"):
        return mage(source, naming, traits.mage_words or _MAGE_WORDS)
    if has_control_characters(source):
        raise SchemaError(
            f"the field {source!r} has a control character in its name, which no column can have; "
            "use `naming: snake`, or give it a name under `columns:`",
            stream=stream,
            column=source,
        )
    return source or "_"


def has_control_characters(name: str) -> bool:
    """Whether the name has characters that an identifier can't have: controls, and halves of surrogate pairs."""
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in name)


def given_name(name: str, key: str, traits: Traits) -> str:
    """The name that the operator set under `key`, unchanged; ConfigError if it can't be used."""
    if not name or has_control_characters(name):
        raise ConfigError(f"{name!r} can't be a name", key=key, hint="use letters, digits and _")
    if is_ours(name):
        raise ConfigError(f"{name!r} begins with {_OURS!r}, as names do that tailrace keeps for itself", key=key)
    if _usable(name, traits) != name:
        raise ConfigError(
            f"{name!r} can't be a name in {traits.name}", key=key, hint=f"{_usable(name, traits)!r} can be one"
        )
    if len(name.encode()) > traits.max_name_length:
        raise ConfigError(
            f"{name!r} is longer than the {traits.max_name_length} bytes that a name of {traits.name} may have", key=key
        )
    return name


def table_name(stream_name: str, settings: StreamSettings, traits: Traits) -> TableName:
    """The stream's table by the templates `table` and `schema`; text beside placeholders is kept as written.

    `{schema}` and `{table}` are the parts of `schema-table` before and after the first hyphen; without one the
    schema is empty, and a template that comes out empty means the destination's default schema.
    """
    before, hyphen, after = stream_name.partition("-")
    parts = {
        "stream": stream_name,
        "schema": before if hyphen else "",
        "table": after if hyphen else stream_name,
    }
    if settings.naming == "snake":
        parts = {word: snake(part) if part else "" for word, part in parts.items()}
    elif has_control_characters(stream_name):
        raise SchemaError("its name has a control character; use `naming: snake` or `table:`", stream=stream_name)
    name = _filled(settings.table, parts, "table") or "_"
    schema = _filled(settings.schema_name, parts, "schema") if settings.schema_name else ""
    table, schema = (fitted(_usable(text, traits), traits.max_name_length) for text in (name, schema))
    for key, text, own in (("table", table, traits.own_tables), ("schema", schema, traits.own_schemas)):
        if has_control_characters(text):
            raise ConfigError(f"{text!r} can't be a name", key=key, hint="use letters, digits and _")
        if text and (is_ours(text) or (own and re.fullmatch(own, text.lower()))):
            reason = "tailrace keeps for itself" if is_ours(text) else f"{traits.name} keeps, or can't have"
            raise SchemaError(
                f"its {key} would be {text!r}, a name that {reason}; set another `{key}:` for it under `streams:`, or "
                "skip the stream with `select: false` there",
                stream=stream_name,
            )
    return TableName(table, schema or None)


def _filled(template: str, parts: Mapping[str, str], key: str) -> str:
    known = ", ".join(f"{{{word}}}" for word in parts)
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ConfigError(f"{template!r} isn't a template", key=key, hint=f"placeholders are {known}") from error
    for _, word, form, conversion in pieces:
        if word is not None and (word not in parts or form or conversion):
            raise ConfigError(f"{template!r} has an unknown placeholder {{{word}}}", key=key, hint=f"it knows {known}")
    return "".join(text + (parts[word] if word else "") for text, word, _, _ in pieces)
