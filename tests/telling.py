"""What a run of the tests says of its servers at its end: of one that can't be had everywhere, of those that died."""

import re

from needs import deaths
from services.mysql import version
from services.processes import MissingServiceError

_ON_MYSQL = re.compile(r"^tests/(attacks|conformance|laws|servers)/.*\[(.*[-_])?mysql([-_].*)?\]")


_DEATHS = "deaths of servers"
_told_by_workers = []


def tell_deaths(config):
    """Hand over how servers died, where another process tells the end of the run."""
    if hasattr(config, "workeroutput"):
        config.workeroutput[_DEATHS] = deaths()


def hear_deaths(node):
    """Keep what a process hands over that has run tests; nothing where it crashed."""
    _told_by_workers.extend(getattr(node, "workeroutput", {}).get(_DEATHS, ()))


def said_of_deaths():
    """How servers have died by themselves, in all processes that have run tests."""
    return [*deaths(), *_told_by_workers]


def said_of_mysql(stats):
    """Whether MySQL itself was there, and the outcomes of the tests on it; nothing where none of them was run."""
    counts = {
        outcome: len({report.nodeid for report in stats.get(outcome, ()) if _is_on_mysql(report)})
        for outcome in ("passed", "failed", "error", "skipped")
    }
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    if not told:
        return ""
    try:
        return f"MySQL {version()} itself was had: of the tests on it {told}"
    except MissingServiceError as missing:
        return f"MySQL itself couldn't be had ({missing}): of the tests on it {told}"


def _is_on_mysql(report):
    return getattr(report, "when", "call") != "teardown" and bool(_ON_MYSQL.search(report.nodeid))
