"""One value, one spelling: what holds for every text encoding, against every byte string."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas import encoding
from airflow_provider_atlas.encoding import Fields
from airflow_provider_atlas.errors import MalformedError

SAFE = 2**53 - 1
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ANY_TEXT = st.text(st.characters(), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers(-SAFE, SAFE) | st.floats(allow_nan=False, allow_infinity=False) | TEXT


def values(scalars, keys):
    def containers(inner):
        return st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4)

    return st.recursive(scalars, containers, max_leaves=12)


JSON = values(SCALARS, TEXT)
PLAIN = values(
    st.none() | st.booleans() | st.integers(-SAFE, SAFE) | TEXT, st.text(st.characters(codec="ascii"), max_size=6)
)
ANYTHING = values(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT, st.text(st.characters(), max_size=6)
)
MOMENTS = st.datetimes(
    min_value=datetime(1, 1, 3),  # noqa: DTZ001 - the zone is drawn
    max_value=datetime(9999, 12, 29),  # noqa: DTZ001 - the zone is drawn
    timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
# Bytes that look like JSON often enough to get past the first check.
JSONISH = st.one_of(
    st.binary(max_size=40),
    st.text('{}[]",:\\u0d8ftrue-+.eE1 \n\x00é', max_size=30).map(str.encode),
    ANYTHING.map(lambda value: json.dumps(value).encode()),
    JSON.map(lambda value: json.dumps(value, ensure_ascii=False, indent=1).encode()),
    st.integers(0, 200).map(lambda depth: b"[" * depth + b"]" * depth),
)


@given(st.binary(max_size=100))
def test_base64_survives_the_round_trip(data):
    assert encoding.b64decode(encoding.b64encode(data)) == data


@given(ANY_TEXT | st.text("AB+/=_- \nz9", max_size=12))
def test_any_text_is_the_base64_of_its_bytes_or_malformed(text):
    with suppress(MalformedError):
        assert encoding.b64encode(encoding.b64decode(text)) == text


@given(st.integers(0, 10**19 - 1))
def test_decimals_survive_the_round_trip(number):
    assert encoding.parse_decimal(str(number)) == number


@given(ANY_TEXT | st.text("0123456789+-_ ٣.e", max_size=22))
def test_any_text_is_the_decimal_of_its_number_or_malformed(text):
    with suppress(MalformedError):
        assert str(encoding.parse_decimal(text)) == text


@given(st.binary(max_size=40))
def test_hex_survives_the_round_trip(data):
    assert encoding.parse_hex(data.hex(), len(data)) == data


@given(ANY_TEXT | st.text("0123456789abcdefABCDEF x", max_size=8), st.integers(0, 4))
def test_any_text_is_the_hex_of_its_bytes_or_malformed(text, size):
    with suppress(MalformedError):
        data = encoding.parse_hex(text, size)
        assert data.hex() == text
        assert len(data) == size


@given(MOMENTS)
def test_times_survive_the_round_trip(moment):
    assert encoding.parse_time(encoding.format_time(moment)) == moment


@given(MOMENTS, st.integers(-1439, 1439))
def test_a_time_does_not_depend_on_the_zone_it_is_told_in(moment, minutes):
    elsewhere = moment.astimezone(timezone(timedelta(minutes=minutes)))
    assert encoding.format_time(moment) == encoding.format_time(elsewhere)


@given(MOMENTS, MOMENTS)
def test_times_sort_as_their_spellings_do(one, other):
    assert (encoding.format_time(one) < encoding.format_time(other)) == (one < other)


@given(
    ANY_TEXT
    | st.from_regex(r"[0-9]{4}-[0-1][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\.[0-9]{6}Z\n?", fullmatch=True)
)
def test_any_text_is_the_spelling_of_its_time_or_malformed(text):
    with suppress(MalformedError):
        moment = encoding.parse_time(text)
        assert encoding.format_time(moment) == text
        assert moment.tzinfo == UTC


@given(JSON)
def test_canonical_json_is_that_of_the_reference(value):
    assert encoding.canonical_json(value) == rfc8785.dumps(value)


@given(PLAIN)
def test_canonical_json_of_plain_values_is_that_of_the_reference(value):
    # These take the way through the standard library.
    assert encoding.canonical_json(value) == rfc8785.dumps(value)


@given(JSON)
def test_canonical_json_survives_the_round_trip(value):
    assert encoding.parse_canonical_json(encoding.canonical_json(value)) == value


@given(st.floats(-1e25, 1e25).map(float.__trunc__).map(float) | st.integers(-(2**90), 2**90).map(float))
def test_whole_doubles_survive_the_round_trip(number):
    # Up to 10^21 they are spelled like integers, also where integers are none any more.
    assert encoding.parse_canonical_json(encoding.canonical_json({"loss": number})) == {"loss": number}


@given(ANYTHING)
def test_any_value_has_a_canonical_spelling_that_reads_as_itself_or_is_malformed(value):
    with suppress(MalformedError):
        assert encoding.parse_canonical_json(encoding.canonical_json(value)) == value


@given(JSONISH)
def test_any_bytes_are_json_or_malformed(data):
    with suppress(MalformedError):
        value = encoding.parse_json(data)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")


@given(JSONISH)
def test_any_bytes_are_the_canonical_spelling_of_their_value_or_malformed(data):
    with suppress(MalformedError):
        assert encoding.canonical_json(encoding.parse_canonical_json(data)) == data


@given(JSON)
def test_what_python_reads_we_read_the_same(value):
    assert encoding.parse_json(json.dumps(value).encode()) == value


ACCESSORS = ["text", "integer", "boolean", "items", "object", "fields", "sha256", "time"]


@given(ANYTHING, st.sampled_from(ACCESSORS))
def test_an_accessor_takes_its_type_or_names_the_member(value, accessor):
    fields = Fields({"member": value}, "the thing")
    try:
        taken = getattr(fields, accessor)("member")
    except MalformedError:
        return
    assert taken is not None
    assert type(value) in {
        "text": [str], "integer": [int], "boolean": [bool], "items": [list], "object": [dict],
        "fields": [dict], "sha256": [dict], "time": [str],
    }[accessor]  # fmt: skip
    fields.end()


@given(ANYTHING)
def test_only_an_object_has_fields(value):
    if isinstance(value, dict):
        Fields(value, "the thing")
    else:
        with pytest.raises(MalformedError, match="expected the thing to be a JSON object"):
            Fields(value, "the thing")


@given(st.dictionaries(ANY_TEXT, st.none(), max_size=5), st.data())
def test_what_nobody_took_is_refused(members, data):
    fields = Fields(members, "the thing")
    taken = data.draw(st.lists(st.sampled_from(sorted(members)), unique=True)) if members else []
    for name in taken:
        fields.any(name)
    if len(taken) == len(members):
        fields.end()
    else:
        with pytest.raises(MalformedError, match="the thing has unknown members") as refusal:
            fields.end()
        assert str(refusal.value).isprintable()
        assert str(refusal.value).isascii()
