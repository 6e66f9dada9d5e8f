"""Public keys: what is accepted, and that in-toto names a key as we do."""

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import CryptoSigner, SSlibKey

from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.signing.keys import SCHEME, PublicKey


def spki(key, encoding=Encoding.DER):
    return key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def private():
    return ec.generate_private_key(ec.SECP256R1())


def test_keyid_is_the_one_of_securesystemslib_for_many_keys():
    for _ in range(200):
        theirs = CryptoSigner.generate_ecdsa().public_key
        ours = PublicKey.from_pem(theirs.keyval["public"].encode())
        assert ours.keyid == theirs.keyid
        assert ours.pem == theirs.keyval["public"]
        assert theirs.scheme == SCHEME


def test_keyid_does_not_depend_on_how_the_key_was_read(private):
    theirs = SSlibKey.from_crypto(private.public_key())
    assert PublicKey.parse(spki(private.public_key())).keyid == theirs.keyid
    assert PublicKey.from_pem(spki(private.public_key(), Encoding.PEM)).keyid == theirs.keyid


def test_sha256_is_that_of_the_der(private):
    der = spki(private.public_key())
    assert PublicKey.parse(der).sha256 == hashlib.sha256(der).hexdigest()


def test_a_signature_of_another_implementation_verifies():
    signer = CryptoSigner.generate_ecdsa()
    key = PublicKey.from_pem(signer.public_key.keyval["public"].encode())
    key.verify(bytes.fromhex(signer.sign(b"message").signature), b"message")


def test_one_changed_bit_of_message_or_signature_is_refused(private):
    key = PublicKey.parse(spki(private.public_key()))
    signature = private.sign(b"message", ec.ECDSA(hashes.SHA256()))
    key.verify(signature, b"message")
    with pytest.raises(SignatureError, match=key.sha256):
        key.verify(signature, b"massage")
    for position in range(len(signature)):
        broken = bytearray(signature)
        broken[position] ^= 1
        with pytest.raises(SignatureError):
            key.verify(bytes(broken), b"message")


@pytest.mark.parametrize(
    "other",
    [
        ec.generate_private_key(ec.SECP384R1()).public_key(),
        ec.generate_private_key(ec.SECP256K1()).public_key(),
        ed25519.Ed25519PrivateKey.generate().public_key(),
        rsa.generate_private_key(65537, 2048).public_key(),
    ],
    ids=["p384", "secp256k1", "ed25519", "rsa"],
)
def test_a_key_of_another_kind_is_refused(other):
    with pytest.raises(MalformedError, match="P-256"):
        PublicKey.parse(spki(other))
    with pytest.raises(MalformedError, match="P-256"):
        PublicKey.from_pem(spki(other, Encoding.PEM))


def test_the_compressed_spelling_of_a_key_is_refused(private):
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    algorithm = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
    bits = b"\x03" + bytes([len(point) + 1]) + b"\x00" + point
    with pytest.raises(MalformedError):
        PublicKey.parse(b"\x30" + bytes([len(algorithm) + len(bits)]) + algorithm + bits)


def test_every_truncation_and_every_trailing_byte_is_refused(private):
    der = spki(private.public_key())
    for length in range(len(der)):
        with pytest.raises(MalformedError):
            PublicKey.parse(der[:length])
    with pytest.raises(MalformedError):
        PublicKey.parse(der + b"\x00")


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"-----BEGIN PUBLIC KEY-----\n",
        b"\xff\xfe",
        b"-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n",
    ],
)
def test_hostile_pem_is_malformed(pem):
    with pytest.raises(MalformedError):
        PublicKey.from_pem(pem)
