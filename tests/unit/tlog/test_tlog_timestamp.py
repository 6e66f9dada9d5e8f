"""Time-stamps: believed of the authority that is named, over the signature that they are of, and of no other."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_atlas.errors import ConfigError, MalformedError, SignatureError, TimestampError
from airflow_provider_atlas.tlog.backends.tsa import HttpAuthority
from airflow_provider_atlas.tlog.timestamp import MAX_TIMESTAMP_BYTES, TrustedAuthority
from tests.support.time_stamping import Authority, serving

MOMENT = datetime(2026, 11, 24, 12, tzinfo=UTC)
AUTHORITY = Authority()
TRUSTED = TrustedAuthority.from_pem("ours", AUTHORITY.pem)
TIMESTAMP = AUTHORITY.stamp(b"signature")


def test_a_time_stamp_tells_the_moment():
    authority = Authority()
    authority.clock = lambda: datetime.now(UTC) - timedelta(hours=2)
    told = TrustedAuthority.from_pem("ours", authority.pem).check(authority.stamp(b"signature"), b"signature")
    assert told.utcoffset() == timedelta()
    assert timedelta(hours=2) <= datetime.now(UTC) - told < timedelta(hours=2, minutes=1)


def test_a_time_stamp_of_something_else_is_refused():
    with pytest.raises(SignatureError, match="by ours"):
        TRUSTED.check(TIMESTAMP, b"another signature")


def test_a_time_stamp_of_another_authority_is_refused():
    with pytest.raises(SignatureError):
        TRUSTED.check(Authority().stamp(b"signature"), b"signature")


def test_a_time_stamp_by_a_certificate_for_another_purpose_is_refused():
    impostor = Authority(purpose=ExtendedKeyUsageOID.CODE_SIGNING)
    with pytest.raises(SignatureError):
        TrustedAuthority.from_pem("ours", impostor.pem).check(impostor.stamp(b"signature"), b"signature")


def test_a_time_stamp_from_before_its_certificate_is_refused():
    authority = Authority()
    authority.clock = lambda: MOMENT - timedelta(days=3650)
    with pytest.raises(SignatureError):
        TrustedAuthority.from_pem("ours", authority.pem).check(authority.stamp(b"signature"), b"signature")


def test_the_root_alone_is_no_authority():
    root = dataclasses.replace(TRUSTED, certificates=TRUSTED.certificates[1:])
    with pytest.raises(SignatureError):
        root.check(TIMESTAMP, b"signature")


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_no_authority(pem):
    with pytest.raises(MalformedError):
        TrustedAuthority.from_pem("ours", pem)


@pytest.mark.parametrize("content", [b"", b"0\x00", TIMESTAMP[:-1], b"0" * (MAX_TIMESTAMP_BYTES + 1)])
def test_what_is_no_time_stamp_is_malformed(content):
    with pytest.raises(MalformedError):
        TRUSTED.check(content, b"signature")


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")  # of what was made invalid
@settings(max_examples=300)
@given(data=st.data())
def test_hostile_bytes_are_refused_and_nothing_else(data):
    # A byte of what nothing signs, such as a text beside the status, may change: then it is the same time-stamp.
    place, byte = data.draw(st.integers(0, len(TIMESTAMP) - 1)), data.draw(st.integers(0, 255))
    changed = TIMESTAMP[:place] + bytes([byte]) + TIMESTAMP[place + 1 :]
    try:
        moment = TRUSTED.check(changed, b"signature")
    except (MalformedError, SignatureError):
        return
    assert moment == TRUSTED.check(TIMESTAMP, b"signature")


def test_an_authority_is_asked_over_http():
    with serving(lambda query: (200, AUTHORITY.answer(query))) as url:
        timestamp = HttpAuthority(url).stamp(b"signature")
    assert datetime.now(UTC) - TRUSTED.check(timestamp, b"signature") < timedelta(minutes=1)


def lying(**changes):
    authority = Authority()
    authority.change = lambda info: {**info, **changes}
    return authority


OTHER = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": bytes(32)}
REFUSED = bytes.fromhex("30053003020102")  # PKIStatus 2, rejection, and no token
ANSWERS = {
    "another digest": lambda query: (200, lying(message_imprint=OTHER).answer(query)),
    "an older answer": lambda query: (200, lying(nonce=7).answer(query)),
    "a refusal": lambda _: (200, REFUSED),
    "something else": lambda _: (200, b"<html>"),
    "nothing": lambda _: (200, b""),
    "too much": lambda _: (200, bytes(MAX_TIMESTAMP_BYTES + 1)),
    "an error": lambda _: (503, b"busy"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_authority_that_answers_otherwise_gave_no_time_stamp(answer):
    with serving(ANSWERS[answer]) as url, pytest.raises(TimestampError, match=r"127\.0\.0\.1"):
        HttpAuthority(url).stamp(b"signature")


def test_an_authority_that_is_not_there_is_away():
    with serving(lambda query: (200, query)) as url:
        pass
    with pytest.raises(TimestampError, match="is away"):
        HttpAuthority(url).stamp(b"signature")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "tsa.example.org", "ftp://tsa.example.org", "/tsa"])
def test_an_authority_that_is_no_web_address_is_a_mistake(url):
    with pytest.raises(ConfigError, match=r"\[atlas\] tsa"):
        HttpAuthority(url)
