"""Text encodings, example by example: the spellings that other parsers let through."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pytest

from airflow_provider_atlas import encoding
from airflow_provider_atlas.encoding import Fields
from airflow_provider_atlas.errors import MalformedError


@pytest.mark.parametrize(
    "text", ["A", "AA", "AA=", "AB==", "AA==\n", " AA==", "A A=", "AA==AA==", "_w==", "AA=A", "é", "\ud800"]
)
def test_other_spellings_of_base64_are_refused(text):
    with pytest.raises(MalformedError):
        encoding.b64decode(text)


def test_vectors_of_rfc_4648():
    vectors = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]
    for length, text in enumerate(vectors):
        assert encoding.b64encode(b"foobar"[:length]) == text
        assert encoding.b64decode(text) == b"foobar"[:length]


@pytest.mark.parametrize(
    "text", ["", "+1", "-1", "01", "00", " 1", "1 ", "1\n", "1_0", "1e3", "0x1", "1.0", "٣", "1" + "0" * 19]
)
def test_other_spellings_of_a_decimal_are_refused(text):
    with pytest.raises(MalformedError):
        encoding.parse_decimal(text)


@pytest.mark.parametrize("text", ["", "0", "000", "0g", "AB", "0x", "ab\n", " ab", "abab", "٣٣"])
def test_other_spellings_of_a_byte_in_hex_are_refused(text):
    with pytest.raises(MalformedError):
        encoding.parse_hex(text, 1)


def test_sha256_is_in_lower_case_hex():
    assert encoding.sha256_hex(b"abc") == hashlib.sha256(b"abc").hexdigest()
    assert encoding.parse_hex(encoding.sha256_hex(b""), 32) == hashlib.sha256(b"").digest()


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T12:00:00.000000Z"),
        (datetime(2026, 1, 31, 1, 0, 0, 1, timezone(timedelta(hours=2))), "2026-01-30T23:00:00.000001Z"),
        (datetime(33, 4, 3, tzinfo=UTC), "0033-04-03T00:00:00.000000Z"),
    ],
)
def test_a_time_is_utc_with_microseconds(moment, text):
    assert encoding.format_time(moment) == text
    assert encoding.parse_time(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-31",
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.000Z",
        "2026-01-31T12:00:00.0000000Z",
        "2026-01-31T12:00:00.000000",
        "2026-01-31T12:00:00.000000z",
        "2026-01-31 12:00:00.000000Z",
        "2026-01-31T12:00:00,000000Z",
        "2026-01-31T12:00:00.000000+00:00",
        "2026-01-31T12:00:00.000000Z\n",
        "2026-02-29T12:00:00.000000Z",
        "2026-01-31T24:00:00.000000Z",
        "2026-01-31T23:59:60.000000Z",
        "0000-01-31T12:00:00.000000Z",
        "٢٠٢٦-01-31T12:00:00.000000Z",
    ],
)
def test_other_spellings_of_a_time_are_refused(text):
    with pytest.raises(MalformedError):
        encoding.parse_time(text)


def test_canonical_json_of_rfc_8785():
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001, -0.0],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/\u007f\u2028",
        "literals": [None, True, False],
        "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Dalet", "1": "One", "\U0001f600": "Smiley",
        "\u0080": "Control", "\u00f6": "Latin",
    }  # fmt: skip
    assert (
        encoding.canonical_json(value)
        == (
            '{"\\r":"Carriage Return","1":"One","literals":[null,true,false],'
            '"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27,0],'
            '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\u007f\u2028",'
            '"\u0080":"Control","\u00f6":"Latin","\u20ac":"Euro Sign","\U0001f600":"Smiley","\ufb33":"Dalet"}'
        ).encode()
    )


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        2**53,
        -(2**53),
        "\ud800",
        {"\ud800": 1},
        {1: 2},
        {None: 1},
        b"bytes",
        {1, 2},
        object,
    ],
    ids=repr,
)
def test_what_canonical_json_cannot_spell_is_refused(value):
    for holder in (value, [value], {"member": value}, {"é": value}):
        with pytest.raises(MalformedError):
            encoding.canonical_json(holder)


def test_a_value_that_holds_itself_is_refused():
    value = []
    value.append(value)
    with pytest.raises(MalformedError):
        encoding.canonical_json(value)


@pytest.mark.parametrize(
    "data",
    [
        b"", b" ", b"{", b"nul", b"{'a':1}", b'{"a":1,}', b"[1,]", b"01", b"+1", b".5", b"1.", b"1 2",
        b'"\n"', b'"\\x"',
        b"\xef\xbb\xbf{}", b"\xff", b'"\xed\xa0\x80"', '"a"'.encode("utf-16"), b"// comment\n1",
        b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"[1e400]", b"9" * 400, b"9" * 5000,
        b"9007199254740993", b"-9007199254740993",
        b'{"a":1,"a":1}', b'{"a":{"b":1,"b":2}}', b'{"a":1,"\\u0061":2}',
        b'"\\ud800"', b'{"\\udfff":1}', b'"\\ude00\\ud83d"', b'["\\uD800"]',
        b"[" * 65 + b"]" * 65, b'{"a":' * 65 + b"1" + b"}" * 65, b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=lambda data: ascii(data[:20]),
)  # fmt: skip
def test_json_that_parsers_disagree_about_is_refused(data):
    with pytest.raises(MalformedError):
        encoding.parse_json(data)


def test_json_that_parsers_agree_about_is_read():
    assert encoding.parse_json(b' {"a": [1, -2.5e3, "\\u00e9\\ud83d\\ude00", true, null]}\n') == {
        "a": [1, -2500.0, "é😀", True, None]
    }
    assert encoding.parse_json(b"[" * 64 + b"]" * 64)
    assert encoding.parse_json(b"1e-999") == 0


def test_an_integer_that_a_double_cannot_tell_from_the_next_is_a_double():
    assert type(encoding.parse_json(b"9007199254740991")) is int
    assert type(encoding.parse_json(b"9007199254740992")) is float
    assert encoding.parse_canonical_json(b"-100000000000000000000") == -1e20
    with pytest.raises(MalformedError, match="an integer"):
        Fields(encoding.parse_json(b'{"size":9007199254740992}'), "the thing").integer("size")


@pytest.mark.parametrize(
    "data",
    [
        b' {"a":1}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b'{"b":1,"a":2}',
        b"1.0",
        b"-0",
        b"1E3",
        b'"\\u0041"',
        b'"\\/"',
        b"9007199254740992.0",
        b"100000000000000000001e0",
        b"1180591620717411303424",
    ],
)
def test_json_in_another_spelling_is_not_canonical(data):
    encoding.parse_json(data)
    with pytest.raises(MalformedError, match="canonical"):
        encoding.parse_canonical_json(data)


DIGEST = "ab" * 32


def test_names_are_sorted_as_utf_16_also_where_nothing_else_is_special():
    value = {"\ufb33": 1, "\U0001f600": 2, "a": {"\uffff": 3, "\U00010000": 4}}
    expected = '{"a":{"\U00010000":4,"\uffff":3},"\U0001f600":2,"\ufb33":1}'
    assert encoding.canonical_json(value) == expected.encode()


def thing(**members):
    return Fields(members, "the thing")


def test_fields_are_taken_by_type():
    fields = thing(
        text="t", kind="b", integer=1, boolean=False, items=[1], object={"x": 1}, inner={"y": 2},
        digest={"sha256": DIGEST}, time="2026-01-31T12:00:00.000000Z", any=1.5, null=None, there="v",
    )  # fmt: skip
    assert fields.text("text") == "t"
    assert fields.one_of("kind", "a", "b") == "b"
    assert fields.integer("integer") == 1
    assert fields.boolean("boolean") is False
    assert fields.items("items") == [1]
    assert fields.object("object") == {"x": 1}
    assert fields.fields("inner").integer("y") == 2
    assert fields.sha256("digest") == DIGEST
    assert fields.time("time") == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert fields.any("any") == 1.5
    assert fields.optional("null", fields.text) is None
    assert fields.optional("there", fields.text) == "v"
    fields.end()


@pytest.mark.parametrize("members", [{}, {"member": None}, {"member": {"of": ["others"]}}])
def test_a_member_is_left_out_whatever_it_holds(members):
    fields = thing(**members)
    fields.discard("member")
    fields.end()


@pytest.mark.parametrize(
    ("accessor", "value"),
    [
        ("text", 1), ("text", None), ("text", ["t"]),
        ("integer", True), ("integer", 1.0), ("integer", "1"), ("integer", None),
        ("boolean", 1), ("boolean", "true"), ("boolean", None),
        ("items", {}), ("items", "ab"), ("items", None),
        ("object", []), ("object", None), ("fields", []), ("fields", "x"),
        ("sha256", DIGEST), ("sha256", {}), ("sha256", {"sha256": DIGEST.upper()}), ("sha256", {"sha256": None}),
        ("sha256", {"sha256": DIGEST, "md5": "00"}), ("sha256", {"sha512": DIGEST}),
        ("time", 0), ("time", "2026-01-31"),
    ],
)  # fmt: skip
def test_another_type_is_refused(accessor, value):
    with pytest.raises(MalformedError):
        getattr(thing(member=value), accessor)("member")


@pytest.mark.parametrize(
    "accessor", ["text", "integer", "boolean", "items", "object", "fields", "sha256", "time", "any"]
)
def test_a_missing_member_is_named(accessor):
    with pytest.raises(MalformedError, match="expected the thing to have 'member'"):
        getattr(thing(), accessor)("member")


def test_a_word_that_is_not_one_of_those_allowed_is_refused():
    with pytest.raises(MalformedError, match="'kind' of the thing to be 'a' or 'b'"):
        thing(kind="c").one_of("kind", "a", "b")


def test_null_and_absent_are_not_the_same():
    fields = thing()
    with pytest.raises(MalformedError, match="expected the thing to have 'member'"):
        fields.optional("member", fields.text)


def test_an_optional_member_of_another_type_is_refused():
    fields = thing(member=1)
    with pytest.raises(MalformedError):
        fields.optional("member", fields.text)


def test_an_inner_object_is_named_with_its_outer_one():
    with pytest.raises(MalformedError, match="'inner' of the thing has unknown members: 'x'"):
        thing(inner={"x": 1}).fields("inner").end()


def test_a_member_is_taken_once():
    fields = thing(member="m")
    fields.text("member")
    with pytest.raises(MalformedError):
        fields.text("member")


def test_unknown_members_are_told_in_a_line_that_is_safe_to_print():
    fields = thing(**{"\x1b[2J": 1, "\ud800": 2, "new\nline": 3, "é" * 5000: 4})
    with pytest.raises(MalformedError) as refusal:
        fields.end()
    message = str(refusal.value)
    assert message.isprintable()
    assert message.isascii()
    assert len(message) < 300


def test_the_object_at_the_doorstep_is_left_as_it_was():
    value = {"member": "m"}
    fields = Fields(value, "the thing")
    fields.text("member")
    fields.end()
    assert value == {"member": "m"}
