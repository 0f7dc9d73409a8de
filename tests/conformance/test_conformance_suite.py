"""The conformance suite holds together, skips what a destination lacks, and notices each of many that do wrong."""

import importlib
from collections import Counter
from pathlib import Path
from unittest import SkipTest

import pytest
from mutant import Mutant
from mutants import MUTANTS

from tailrace.destinations.memory import MemoryDestination
from tailrace.errors import TailraceError
from tailrace.testing import BEHAVIOURS, THEMES, Subject, behaviours

FILES = sorted(set(Path(__file__).parent.glob("test_conformance_*.py")) - {Path(__file__)})
NOTICED = [pytest.param(m, name, id=f"{m.__name__}-{name}") for m in MUTANTS for name in m.noticed_by]
BY_NAME = {behaviour.__name__: behaviour for behaviour in BEHAVIOURS}


@pytest.fixture
def of(tmp_path):
    """A subject whose destination is in memory, by itself or behind a mutant."""

    def rows(table, schema=None):
        return MemoryDestination(str(tmp_path)).tables().get(f"{schema}.{table}" if schema else table, [])

    def subject(mutant=lambda right: right, **more):
        return Subject(lambda: mutant(MemoryDestination(str(tmp_path))), rows, **more)

    return subject


def test_there_are_at_least_ninety_behaviours_each_with_a_name_of_its_own_that_says_what_is_done():
    assert len(BEHAVIOURS) >= 90
    assert [name for name, count in Counter(b.__name__ for b in BEHAVIOURS).items() if count > 1] == []
    assert [b.__name__ for b in BEHAVIOURS if b.__name__.count("_") < 2 or not b.__doc__] == ["keeps_uuids"]


def test_a_behaviour_that_a_subject_lacks_is_skipped_with_its_reason(of):
    with pytest.raises(SkipTest, match="it has no UUIDs"):
        BY_NAME["keeps_uuids"](of(lacks={"keeps_uuids": "it has no UUIDs"}))


def test_a_lack_that_names_no_behaviour_fails_every_behaviour(of):
    subject = of(lacks={"keeps_uids": "a slip of the pen"})
    for behaviour in BEHAVIOURS:
        with pytest.raises(AssertionError, match="keeps_uids"):
            behaviour(subject)


def test_the_behaviours_of_a_subject_are_those_of_the_themes_that_it_varies():
    assert behaviours() == behaviours(THEMES) == BEHAVIOURS
    assert behaviours({"texts", "kinds"}) == (*THEMES["kinds"], *THEMES["texts"])
    assert behaviours(set()) == ()


def test_a_behaviour_of_a_theme_that_a_subject_does_not_vary_is_skipped(of):
    subject = of(varies=frozenset({"texts"}))
    BY_NAME["keeps_nul_in_text"](subject)
    with pytest.raises(SkipTest, match="doesn't vary kinds"):
        BY_NAME["keeps_uuids"](subject)


def test_a_theme_that_there_is_not_fails_where_it_is_asked_for_and_in_every_behaviour(of):
    with pytest.raises(AssertionError, match="txets; there are kinds, texts, keys"):
        behaviours({"kinds", "txets"})
    subject = of(varies=frozenset({"kinds", "txets"}))
    for behaviour in BEHAVIOURS:
        with pytest.raises(AssertionError, match="txets"):
            behaviour(subject)


def test_one_subject_of_each_destination_runs_all_behaviours():
    varies = {file.stem: getattr(importlib.import_module(file.stem), "VARIES", {"": None}) for file in FILES}
    assert [name for name, subjects in varies.items() if None not in subjects.values()] == []
    assert sum(len(subjects) > 1 for subjects in varies.values()) >= 4


def test_there_are_at_least_thirty_mutants_noticed_in_every_theme_each_saying_which_behaviours_notice_it():
    noticing = {name for mutant in MUTANTS for name in mutant.noticed_by}
    assert len({mutant.__name__ for mutant in MUTANTS}) == len(MUTANTS) >= 30
    assert [mutant.__name__ for mutant in MUTANTS if not mutant.noticed_by] == []
    assert [theme for theme, several in THEMES.items() if not noticing & {b.__name__ for b in several}] == []


@pytest.mark.parametrize(("mutant", "noticed_by"), NOTICED)
def test_a_destination_that_does_wrong_is_noticed(of, mutant, noticed_by):
    with pytest.raises((AssertionError, TailraceError)):
        BY_NAME[noticed_by](of(mutant))


@pytest.mark.parametrize("noticed_by", sorted({name for mutant in MUTANTS for name in mutant.noticed_by}))
def test_what_all_mutants_are_made_of_does_nothing_wrong(of, noticed_by):
    BY_NAME[noticed_by](of(Mutant))
