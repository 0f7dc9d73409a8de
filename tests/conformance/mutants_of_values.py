"""Destinations that change values: of some kind, or of texts and JSON."""

import json
import re
import unicodedata
from datetime import timedelta
from decimal import ROUND_DOWN, Context

from mutant import Mutant, mapped

from tailrace.model import Kind

FIFTEEN_DIGITS = Context(prec=15, rounding=ROUND_DOWN)
"""What a double keeps of any decimal."""


class StoresDecimalsAsDoubles(Mutant):
    noticed_by = ("keeps_decimals_of_38_digits", "keeps_integers_beyond_int64")

    def batch(self, batch):
        return mapped(batch, Kind.DECIMAL, FIFTEEN_DIGITS.create_decimal)


class StoresIntegersAsFloats(Mutant):
    noticed_by = ("keeps_the_largest_and_smallest_int64", "integers_are_keys_to_their_last_digit")

    def batch(self, batch):
        return mapped(batch, Kind.INT, lambda value: max(min(int(float(value)), 2**63 - 1), -(2**63)))


class StoresFloatsInSinglePrecision(Mutant):
    noticed_by = ("keeps_floats_from_the_smallest_to_the_largest",)

    def batch(self, batch):
        return mapped(batch, Kind.FLOAT, lambda value: float(f"{value:.7g}"))


class DropsTheSignOfZero(Mutant):
    noticed_by = ("keeps_negative_zero",)

    def batch(self, batch):
        return mapped(batch, Kind.FLOAT, lambda value: value + 0.0)


class StoresFalseAsNull(Mutant):
    noticed_by = ("keeps_false_apart_from_null",)

    def batch(self, batch):
        return mapped(batch, Kind.BOOL, lambda value: value or None)


class ShiftsTimesToItsOwnZone(Mutant):
    noticed_by = ("keeps_timestamps_to_the_microsecond", "takes_a_timestamp_without_offset_as_utc")

    def batch(self, batch):
        return mapped(batch, Kind.TIMESTAMPTZ, lambda value: value + timedelta(hours=1 if value.year < 9999 else 0))


class CutsTimesToMilliseconds(Mutant):
    noticed_by = ("keeps_timestamps_to_the_microsecond", "keeps_timestamps_from_year_1_to_9999")

    def batch(self, batch):
        return mapped(batch, Kind.TIMESTAMPTZ, lambda v: v.replace(microsecond=v.microsecond // 1000 * 1000))


class CutsTimesOfDayToSeconds(Mutant):
    noticed_by = ("keeps_times_to_the_microsecond",)

    def batch(self, batch):
        return mapped(batch, Kind.TIME, lambda value: value.replace(microsecond=0))


class EndsBytesAtTheirLastNul(Mutant):
    noticed_by = ("keeps_every_byte",)

    def batch(self, batch):
        return mapped(batch, Kind.BINARY, lambda value: value.rstrip(b"\x00"))


class WritesUuidsInUpperCase(Mutant):
    noticed_by = ("keeps_uuids",)

    def batch(self, batch):
        return mapped(batch, Kind.UUID, str.upper)


class CutsTexts(Mutant):
    noticed_by = ("keeps_a_megabyte_of_text",)

    def batch(self, batch):
        return mapped(batch, Kind.TEXT, lambda value: value[:65_535])


class DropsNul(Mutant):
    noticed_by = ("keeps_nul_in_text", "texts_with_nul_are_keys")

    def batch(self, batch):
        return mapped(batch, Kind.TEXT, lambda value: value.replace("\0", ""))


class StoresEmptyTextsAsNull(Mutant):
    noticed_by = ("keeps_the_empty_string_apart_from_null",)

    def batch(self, batch):
        return mapped(batch, Kind.TEXT, lambda value: value or None)


class TrimsTexts(Mutant):
    noticed_by = ("keeps_spaces_at_both_ends", "keeps_the_empty_string_apart_from_null")

    def batch(self, batch):
        return mapped(batch, Kind.TEXT, lambda value: value.rstrip(" "))


class ReadsTheWordNullAsNull(Mutant):
    noticed_by = ("keeps_text_that_looks_like_another_value",)

    def batch(self, batch):
        return mapped(batch, Kind.TEXT, lambda value: None if value in {"NULL", "\\N"} else value)


class ReadsBackslashesAsEscapes(Mutant):
    noticed_by = ("keeps_quotes_backslashes_and_newlines",)

    def batch(self, batch):
        return mapped(batch, Kind.TEXT, lambda value: value.replace("\\n", "\n"))


class NormalisesTexts(Mutant):
    noticed_by = ("keeps_combining_characters_as_they_are",)

    def batch(self, batch):
        return mapped(batch, Kind.TEXT, lambda value: unicodedata.normalize("NFC", value))


class HasNoCharactersBeyondTheBasicPlane(Mutant):
    noticed_by = ("keeps_emoji_and_cjk_text", "keeps_control_characters_and_noncharacters")

    def batch(self, batch):
        return mapped(batch, Kind.TEXT, lambda value: "".join(c if ord(c) < 2**16 else "?" for c in value))


class ReadsTheNumbersOfJsonAsFloats(Mutant):
    noticed_by = ("keeps_the_digits_of_numbers_inside_json",)

    def batch(self, batch):
        return mapped(batch, Kind.JSON, lambda value: json.dumps(json.loads(value, parse_int=float)))


class UnquotesTextsThatAreJson(Mutant):
    noticed_by = ("keeps_json_scalars",)

    def batch(self, batch):
        return mapped(batch, Kind.JSON, lambda value: re.sub(r'^"(\d+|true|null)"$', r"\1", value))
