"""The native decoder answers as the reference does: 200,000 random and mutated records of a thousand random streams."""

import pytest

pytest.importorskip("tailrace_native", reason="cargo isn't at hand, so that tailrace-native isn't built")
from decoding import compared

PARTS = 8


@pytest.mark.parametrize("seed", range(PARTS))
def test_the_native_decoder_answers_as_the_reference_does(seed):
    assert compared(records=200_000 // PARTS, seed=seed) > 1000
