"""Signing certificates: whom they name, and that a stranger's bytes are refused as malformed and nothing else."""

from datetime import UTC, datetime

import pytest
from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.signing.certificate import MAX_CERTIFICATE_BYTES, Certificate, _utf8_string
from airflow_provider_atlas.signing.trust import TrustedFulcio
from tests.support.fulcio import IDENTITY, ISSUER, Fulcio, Wanted

KEY = ec.generate_private_key(ec.SECP256R1())
ISSUER_OID = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")


def issued(identity=IDENTITY, issuer=ISSUER, key=KEY):
    wanted = Wanted(spki=key.public_key(), identity=identity, issuer=issuer, begins=datetime.now(UTC))
    return Fulcio().issue(wanted).public_bytes(Encoding.DER)


DER = issued()


@pytest.mark.parametrize("identity", [IDENTITY, "worker@cluster.example"])
@pytest.mark.parametrize("issuer", [ISSUER, "https://" + "i" * 200, "https://" + "i" * 300])
def test_a_certificate_names_key_identity_and_issuer(identity, issuer):
    certificate = Certificate.parse(issued(identity, issuer))
    assert (certificate.identity, certificate.issuer) == (identity, issuer)
    assert certificate.public_key.spki == KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@given(st.text(max_size=70_000))
def test_every_text_has_one_spelling_in_der(text):
    der = core.UTF8String(text).dump()
    assert _utf8_string(der) == text
    if len(der) - 2 < 0x80:
        with pytest.raises(MalformedError):
            _utf8_string(der[:1] + b"\x81" + der[1:])
    with pytest.raises(MalformedError):
        _utf8_string(b"\x16" + der[1:])
    with pytest.raises(MalformedError):
        _utf8_string(der + b"\0")


@given(st.data())
def test_a_certificate_with_a_changed_byte_is_malformed_or_another(data):
    place, byte = data.draw(st.integers(0, len(DER) - 1)), data.draw(st.integers(0, 255))
    changed = DER[:place] + bytes([byte]) + DER[place + 1 :]
    try:
        certificate = Certificate.parse(changed)
    except MalformedError:
        return
    assert certificate.parsed.public_bytes(Encoding.DER) == certificate.der == changed


@given(st.binary(max_size=200) | st.integers(0, len(DER) - 1).map(lambda length: DER[:length]))
def test_bytes_that_are_no_certificate_are_malformed(data):
    with pytest.raises(MalformedError):
        Certificate.parse(data)


def test_a_certificate_beyond_the_limit_is_malformed():
    with pytest.raises(MalformedError, match=str(MAX_CERTIFICATE_BYTES)):
        Certificate.parse(bytes(MAX_CERTIFICATE_BYTES + 1))


def bare(*extensions, key=KEY):
    name, now = x509.Name([]), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


URI = x509.UniformResourceIdentifier(IDENTITY)
BY = x509.UnrecognizedExtension(ISSUER_OID, core.UTF8String(ISSUER).dump())


@pytest.mark.parametrize(
    "der",
    [
        bare(),
        bare(BY),
        bare(x509.SubjectAlternativeName([URI])),
        bare(BY, x509.SubjectAlternativeName([])),
        bare(BY, x509.SubjectAlternativeName([URI, URI])),
        bare(BY, x509.SubjectAlternativeName([x509.DNSName("worker.example")])),
        bare(x509.SubjectAlternativeName([URI]), x509.UnrecognizedExtension(ISSUER_OID, ISSUER.encode())),
        bare(x509.SubjectAlternativeName([URI]), x509.UnrecognizedExtension(ISSUER_OID, b"")),
        bare(BY, x509.SubjectAlternativeName([URI]), key=ec.generate_private_key(ec.SECP384R1())),
        bare(BY, x509.SubjectAlternativeName([URI]), key=ed25519.Ed25519PrivateKey.generate()),
    ],
    ids=[
        "nothing",
        "no identity",
        "no issuer",
        "an empty identity",
        "two identities",
        "a host",
        "an issuer without a type",
        "an empty issuer",
        "P-384",
        "Ed25519",
    ],
)
def test_a_certificate_of_another_kind_is_malformed(der):
    with pytest.raises(MalformedError):
        Certificate.parse(der)
    assert Certificate.parse(bare(BY, x509.SubjectAlternativeName([URI]))).identity == IDENTITY


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_no_authority(pem):
    with pytest.raises(MalformedError, match="in PEM"):
        TrustedFulcio.from_pem(pem, [Fulcio().ct_pem.encode()])
    with pytest.raises(MalformedError, match="in PEM"):
        TrustedFulcio.from_pem(Fulcio().pem.encode(), [pem])
