"""Which implementation decodes."""

import pytest

from tailrace.config import StreamSettings
from tailrace.decode import IMPLEMENTATION, IS_NATIVE, implementation
from tailrace.decode.layout import RecordLayout
from tailrace.decode.reference import Reference
from tailrace.model import Traits
from tailrace.schema.stream import planned_stream

FLAT = b'{"properties": {"a": {"type": "integer"}}}'
NESTED = b'{"properties": {"a": {"type": "object"}}}'


def plan(schema, **options):
    settings = StreamSettings.model_validate(options)
    return RecordLayout(planned_stream("s", schema, (), settings, Traits("t", "none"), revision=1, versioned=False))


def test_what_decodes_is_named_after_what_is_installed():
    assert ("native" if IS_NATIVE else "reference") == IMPLEMENTATION


def test_without_tailrace_native_the_reference_decodes():
    assert implementation(plan(FLAT), is_native=False) is Reference
    assert implementation(plan(NESTED), is_native=False) is Reference
    assert implementation(plan(FLAT, validation="full"), is_native=False) is Reference


def test_tailrace_native_decodes_when_it_is_installed():
    native = pytest.importorskip("tailrace.decode.native")
    assert implementation(plan(FLAT), is_native=True) is native.Native
    assert implementation(plan(NESTED), is_native=True) is native.Native
