"""How many examples of a law are tried: the same each time, or TAILRACE_EXAMPLES as many others."""

import os

from hypothesis import HealthCheck, settings

MORE = int(os.environ.get("TAILRACE_EXAMPLES", "0"))


def law(examples):
    """What holds for so many examples, or for as many times that as are asked for."""
    return settings(
        max_examples=examples * max(1, MORE),
        derandomize=not MORE,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
