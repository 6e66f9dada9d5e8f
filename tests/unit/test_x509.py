"""What strangers call a certificate is read, or refused by one error, whichever way the library refuses it."""

import base64

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord
from airflow_provider_atlas.x509 import certificate_of, certificates_of_pem, revocation_list_of
from tests.support.certificates import root
from tests.support.simulated_snp import vendor

VERSION_3, VERSION_7 = b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x06"
CERTIFICATE = root("a root (nobody's)").chain[0]
OF_THE_FUTURE = CERTIFICATE.replace(VERSION_3, VERSION_7, 1)


def pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


def test_a_certificate_is_read():
    parsed = certificate_of(CERTIFICATE)
    assert parsed.public_bytes(Encoding.DER) == CERTIFICATE
    assert certificates_of_pem(pem(CERTIFICATE) * 2, "two") == [parsed, parsed]
    assert parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("data", [b"", b"\x30", CERTIFICATE[:-1], OF_THE_FUTURE], ids=["none", "a byte", "cut", "v7"])
def test_what_is_no_certificate_is_malformed(data: bytes):
    assert data != CERTIFICATE
    with pytest.raises(MalformedError, match="expected a certificate"):
        certificate_of(data)
    with pytest.raises(MalformedError, match="expected a chain"):
        certificates_of_pem(pem(data), "a chain")
    with pytest.raises(MalformedError, match="expected a revocation list"):
        revocation_list_of(data)


def test_a_version_of_the_future_to_be_logged_is_malformed_too():
    with pytest.raises(MalformedError):
        HashedRekord(digest=bytes(32), signature=b"x", certificate=OF_THE_FUTURE).verify()


def test_a_revocation_list_is_read_and_one_of_another_version_refused():
    listed = vendor("Genoa").crl
    assert revocation_list_of(listed).next_update_utc
    first = listed.index(b"\x02\x01\x01")
    with pytest.raises(MalformedError, match="expected a revocation list"):
        revocation_list_of(listed[:first] + b"\x02\x01\x06" + listed[first + 3 :])
