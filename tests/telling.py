"""What a run of the tests says at its end of the server that can't be had everywhere."""

import re

from services.mysql import version
from services.processes import MissingServiceError

_ON_MYSQL = re.compile(r"^tests/(attacks|conformance|laws|servers)/.*\[(.*[-_])?mysql([-_].*)?\]")


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
