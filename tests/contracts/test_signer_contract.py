"""What holds for every signer. A backend joins with one line in ``SIGNERS``."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey

from airflow_provider_atlas.errors import SignatureError
from airflow_provider_atlas.settings import Settings
from airflow_provider_atlas.signing.backends.key_file import KeyFileSigner
from airflow_provider_atlas.signing.keys import PublicKey
from airflow_provider_atlas.wiring import signers
from tests.support.fulcio import keyless


def fulcio(folder):
    """A signer whose key is certified; the Fulcio is asked once, and gone when the signer is used."""
    with keyless(folder) as services:
        signer = signers.signer(Settings.parse(services.section, home=str(folder)))
        assert signer.certified()
    return signer


SIGNERS = {
    "key file": lambda folder: KeyFileSigner.create(folder / "key.pem"),
    "key file, loaded": lambda folder: (
        KeyFileSigner.create(folder / "key.pem") and KeyFileSigner.load(folder / "key.pem")
    ),
    "fulcio": fulcio,
}
MESSAGES = [b"", b"message", bytes(range(256)), b"x" * 100_000]


@pytest.fixture(params=SIGNERS)
def signer(request, tmp_path):
    return SIGNERS[request.param](tmp_path)


@pytest.mark.parametrize("message", MESSAGES, ids=len)
def test_what_it_signs_its_public_key_verifies(signer, message):
    signer.public_key.verify(signer.sign(message), message)


def test_what_it_signs_no_other_key_verifies(signer, tmp_path):
    other = KeyFileSigner.create(tmp_path / "other.pem")
    with pytest.raises(SignatureError):
        other.public_key.verify(signer.sign(b"message"), b"message")
    with pytest.raises(SignatureError):
        signer.public_key.verify(signer.sign(b"message"), b"another")


def test_its_public_key_is_in_the_one_spelling(signer):
    assert PublicKey.parse(signer.public_key.spki) == signer.public_key
    assert PublicKey.from_pem(signer.public_key.pem.encode()) == signer.public_key


@pytest.mark.parametrize("message", MESSAGES, ids=len)
def test_in_toto_verifies_what_it_signs(signer, message):
    theirs = SSlibKey(signer.public_key.keyid, "ecdsa", "ecdsa-sha2-nistp256", {"public": signer.public_key.pem})
    theirs.verify_signature(Signature(theirs.keyid, signer.sign(message).hex()), message)


def test_its_signature_is_plain_der_of_two_numbers(signer):
    signature = signer.sign(b"message")
    assert encode_dss_signature(*decode_dss_signature(signature)) == signature


def test_a_key_file_signer_and_the_one_of_securesystemslib_are_one_signer(tmp_path):
    ours = KeyFileSigner.create(tmp_path / "key.pem")
    public = SSlibKey.from_crypto(PublicKey.parse(ours.public_key.spki)._key)
    theirs = CryptoSigner.from_priv_key_uri(f"file2:{tmp_path / 'key.pem'}", public)
    assert theirs.public_key.keyid == ours.public_key.keyid
    for message in (hashlib.sha256(bytes([i])).digest() for i in range(50)):
        ours.public_key.verify(bytes.fromhex(theirs.sign(message).signature), message)
        theirs.public_key.verify_signature(Signature(public.keyid, ours.sign(message).hex()), message)
