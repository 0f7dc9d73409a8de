"""Every conformance case, on every implementation."""

import pytest

from tailrace.decode import decoder
from tailrace.decode.reference import Reference
from tailrace.testing.decoder import cases, check

CASES = list(cases())


def test_there_are_cases_of_every_theme():
    assert len(CASES) >= 150
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_reference_answers(case):
    check(Reference, case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_decoder_of_this_installation_answers(case):
    check(decoder, case)
