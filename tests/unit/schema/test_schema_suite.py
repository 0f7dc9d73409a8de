"""The official JSON-Schema-Test-Suite under `validation: full`; what differs is listed, each with its reason."""

import json
import os
from functools import cache
from pathlib import Path

import pytest

from tailrace.decode.layout import RecordLayout
from tailrace.decode.validate import violations_finder
from tailrace.errors import SchemaError
from tailrace.model import Stream, TableName
from tailrace.schema.shapes import Document
from tailrace.schema.soundness import flaws

SUITE = Path(__file__).parents[3] / ".work" / "suite" / "tests"
LISTED = Path(__file__).with_name("suite_differences.txt")
DRAFTS = {
    "draft4": "http://json-schema.org/draft-04/schema#",
    "draft6": "http://json-schema.org/draft-06/schema#",
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}


def finder(schema, draft):
    """What finds violations of a schema of the suite; None where it is refused as a stream's."""
    if isinstance(schema, bool):
        schema = {"allOf": [schema]}
    schema = {"$schema": DRAFTS[draft], **schema}
    if any(flaws(Document(schema, "s"))):
        return None
    try:
        return violations_finder(RecordLayout(Stream("s", TableName("s"), (), json_schema=json.dumps(schema).encode())))
    except SchemaError:
        return None


@cache
def differences(draft):
    """(file, schema, test) of what is judged otherwise; the test is `*` where the schema is refused."""
    if not SUITE.is_dir():
        if os.environ.get("SERVICES_REQUIRED"):
            pytest.fail("the test suite isn't there; scripts/setup-suite makes it")
        pytest.skip("the test suite isn't there; scripts/setup-suite makes it")
    found, count = set(), 0
    for path in sorted((SUITE / draft).rglob("*.json")):
        file = path.relative_to(SUITE / draft).as_posix()
        for case in json.loads(path.read_text(encoding="utf-8")):
            find = finder(case["schema"], draft)
            if find is None:
                found.add((file, case["description"], "*"))
                continue
            for test in case["tests"]:
                count += 1
                if (not find(json.dumps(test["data"]).encode())) is not test["valid"]:
                    found.add((file, case["description"], test["description"]))
    assert count > 500
    return found


def listed(draft):
    """What is listed for a draft, each with its reason."""
    found, reason = {}, None
    for line in LISTED.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            reason = line[2:]
        elif line:
            drafts, *place = line.split(" | ")
            if draft in drafts.split():
                found[tuple(place)] = reason
    return found


@pytest.mark.parametrize("draft", DRAFTS)
def test_the_suite_is_judged_as_it_says_but_for_what_is_listed(draft):
    assert differences(draft) - listed(draft).keys() == set()


@pytest.mark.parametrize("draft", DRAFTS)
def test_what_is_listed_still_differs(draft):
    assert listed(draft).keys() - differences(draft) == set()
    assert all(listed(draft).values())
