"""Decisions (docs/adr): each has a date and a status, and what amends or supersedes another is named by both."""

import re
from datetime import date
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "adr"
PAGES = sorted(FOLDER.glob("[0-9]*.md"))
PARTS = ["Context", "Decision", "What we gave up"]
HEADER = re.compile(
    r"# (?P<number>\d+)\. (?P<title>.+)\n\n"
    r"- Date: (?P<date>\d{4}-\d\d-\d\d)\n"
    r"- Status: (?P<status>accepted|amended|superseded)\n"
    r"(?P<relations>(?:- (?:Amends|Supersedes|Amended by|Superseded by) \[\d+\]\(\d{4}-[\w-]+\.md\).*\.\n)*)\n"
)
RELATION = re.compile(r"^- (Amends|Supersedes|Amended by|Superseded by) \[(\d+)\]\((\d{4})-", re.MULTILINE)
OTHER_SIDE = {"Amends": "Amended by", "Supersedes": "Superseded by"}


def header(text):
    found = HEADER.match(text)
    assert found, "begin with # N. Title, - Date: , - Status: , and a line for each decision that it has to do with"
    return found


def relations(text):
    """(what it does, to which decision) for each relation of a page; a link leads to the page of its number."""
    found = RELATION.findall(header(text)["relations"])
    assert all(int(shown) == int(linked) for _, shown, linked in found)
    return {(what, int(number)) for what, number, _ in found}


def unanswered(pages):
    """The relations that only one of the two pages tells of, by number of the page."""
    told = {(number, *relation) for number, text in pages.items() for relation in relations(text)}
    back = OTHER_SIDE | {there: here for here, there in OTHER_SIDE.items()}
    return {(number, what, other) for number, what, other in told if (other, back[what], number) not in told}


def read():
    return {int(path.name[:4]): path.read_text(encoding="utf-8") for path in PAGES}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_decision_has_its_number_a_date_and_the_status_that_others_give_it(path):
    text = path.read_text(encoding="utf-8")
    found = header(text)
    done = {what for what, _ in relations(text)}
    status = "superseded" if "Superseded by" in done else "amended" if "Amended by" in done else "accepted"
    assert (int(found["number"]), found["status"]) == (int(path.name[:4]), status)
    assert date.fromisoformat(found["date"])
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == PARTS


def test_numbers_have_no_gaps_and_dates_rise_with_them():
    pages = read()
    assert [*pages] == [*range(1, len(pages) + 1)]
    dates = [header(text)["date"] for text in pages.values()]
    assert dates == sorted(dates)


def test_a_decision_that_changes_another_is_named_by_that_one_too():
    assert unanswered(read()) == set()


def test_a_relation_that_only_one_side_tells_of_is_found():
    page = "# {}. T\n\n- Date: 2026-01-01\n- Status: accepted\n- {} [{}](000{}-t.md): why.\n\n"
    one, two = page.format(1, "Amended by", 2, 2), page.format(2, "Amends", 1, 1)
    assert unanswered({1: one, 2: two}) == set()
    assert unanswered({1: one, 2: two.replace("Amends", "Supersedes")}) == {(1, "Amended by", 2), (2, "Supersedes", 1)}


def test_the_list_of_decisions_is_as_their_pages_are():
    rows = []
    for path in PAGES:
        found = header(path.read_text(encoding="utf-8"))
        by = re.findall(r"^- (?:Amended|Superseded) by (\[.*?\)):?", found["relations"], re.MULTILINE)
        status = f"{found['status']} by {', '.join(by)}" if by else found["status"]
        rows.append(f"| [{found['number']}]({path.name}) | {found['title']} | {found['date']} | {status} |")
    table = (FOLDER / "README.md").read_text(encoding="utf-8").partition("|---:|---|---|---|\n")[2]
    assert table.splitlines() == rows
