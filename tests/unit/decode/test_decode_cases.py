"""Every conformance case, on every implementation."""

import pytest

from tailrace.decode import decoder
from tailrace.decode.plan import Plan
from tailrace.decode.reader import is_eligible
from tailrace.decode.reference import Reference
from tailrace.decode.vectorised import Vectorised
from tailrace.testing.decoder import cases, check

CASES = list(cases())
ELIGIBLE = [case for case in CASES if is_eligible(Plan(case.stream))]


def test_there_are_cases_of_every_theme():
    assert len(CASES) >= 150
    assert len({case.name for case in CASES}) == len(CASES)
    assert len(ELIGIBLE) >= 150


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_reference_answers(case):
    check(Reference, case)


@pytest.mark.parametrize("case", ELIGIBLE, ids=lambda case: case.name)
def test_the_fast_path_answers(case):
    check(Vectorised, case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_decoder_of_this_installation_answers(case):
    check(decoder, case)
