"""How the log of a load is shown: as settings say, else as the runner that started it asks."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

from tailrace import log
from tailrace.config import Settings

RUNNERS = "SINGER_SDK_LOG_CONFIG"
"""The variable in which a runner, as Meltano, names a file of Python's logging with the form that it reads."""
_STRUCTURED = "singer_sdk.logging.StructuredFormatter"


def show_log(settings: Mapping[str, Any]) -> None:
    """Show the log by `log_level` and `log_format` of these settings; a wrong value of theirs is refused later."""
    asked = _asked_by_runner(os.environ)
    level = _known(settings, "log_level") or asked.get("log_level") or ("warning" if sys.stderr.isatty() else "info")
    log.configure(level, _known(settings, "log_format") or asked.get("log_format") or "text")


def _known(settings: Mapping[str, Any], name: str) -> Any:
    """A setting's value, if it is one of those that it has."""
    value = str(settings.get(name)).lower()
    words = {word for part in get_args(Settings.model_fields[name].annotation) for word in get_args(part)}
    return value if value in words else None


def _asked_by_runner(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings that a runner's file of logging comes to; none where there is no such file, or it says otherwise."""
    asked: dict[str, Any] = {}
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        config = _parsed(Path(environ[RUNNERS]).read_text(encoding="utf-8"))
        forms = config["formatters"].values()
        if any(form.get("()") == _STRUCTURED for form in forms):
            asked["log_format"] = "singer"
        elif any(form.get("format") == "%(message)s" for form in forms):
            asked["log_format"] = "plain"
        asked["log_level"] = _known({"log_level": config["root"]["level"]}, "log_level")
    return asked


def _parsed(text: str) -> Any:
    """The file, which Meltano writes as JSON, and others as YAML."""
    with suppress(ValueError):
        return json.loads(text)
    yaml = import_module("yaml")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ValueError from None
