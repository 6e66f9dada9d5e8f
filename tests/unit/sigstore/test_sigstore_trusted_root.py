"""A trusted root: the logs of a policy, as Sigstore's tools read them."""

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.sigstore.trusted_root import MAX_TRUSTED_ROOT_SIZE, TrustedRoot
from airflow_provider_atlas.tlog.note import ECDSA, VerifierKey
from airflow_provider_atlas.tlog.timestamp import TrustedAuthority
from tests.support.small_run import MemorySigner

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LOG = VerifierKey.of("atlas.example.org/log", KEY)


def spelled(document):
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def test_a_log_is_told_as_a_log_of_rekors_second_version():
    document = json.loads(TrustedRoot(logs=[LOG]).to_bytes())
    (log,) = document.pop("tlogs")
    raw = base64.b64decode(log["publicKey"].pop("rawBytes"))
    assert load_der_public_key(raw).public_bytes_raw() == KEY.public_key().public_bytes_raw()
    log_id = {"keyId": base64.b64encode(LOG.key_hash).decode()}
    assert log == {
        "baseUrl": "https://atlas.example.org/log",
        "hashAlgorithm": "SHA2_256",
        "publicKey": {"keyDetails": "PKIX_ED25519", "validFor": {"start": "1970-01-01T00:00:00Z"}},
        "logId": log_id,
        "checkpointKeyId": log_id,
    }
    assert document == {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "certificateAuthorities": [],
        "ctlogs": [],
        "timestampAuthorities": [],
    }


@pytest.mark.parametrize("name", ["localhost/tests", "https://atlas.example.org", "größe", "a(b[c"])
def test_the_name_of_the_key_is_part_of_the_base_url(name):
    # sigstore-js believes no other signature of a checkpoint.
    root = TrustedRoot(logs=[VerifierKey.of(name, KEY)])
    assert name in json.loads(root.to_bytes())["tlogs"][0]["baseUrl"]
    assert TrustedRoot.parse(root.to_bytes()).logs == tuple(root.logs)


def test_an_authority_is_told_with_its_chain():
    authority = TrustedAuthority(name="ours", certificates=(b"own", b"root"))
    root = TrustedRoot(logs=(LOG,), authorities=(authority,))
    assert TrustedRoot.parse(root.to_bytes()) == root
    assert json.loads(root.to_bytes())["timestampAuthorities"] == [
        {
            "subject": {"organization": "", "commonName": "ours"},
            "uri": "",
            "certChain": {"certificates": [{"rawBytes": "b3du"}, {"rawBytes": "cm9vdA=="}]},
            "validFor": {"start": "1970-01-01T00:00:00Z"},
        }
    ]


def test_who_certifies_and_who_has_seen_it_are_told_as_fulcio_and_its_log():
    key = MemorySigner().public_key
    root = TrustedRoot(logs=(LOG,), fulcios=((b"own", b"root"),), ct_keys=(key,))
    assert TrustedRoot.parse(root.to_bytes()) == root
    document = json.loads(root.to_bytes())
    assert document["certificateAuthorities"] == [
        {
            "subject": {"organization": "", "commonName": ""},
            "uri": "",
            "certChain": {"certificates": [{"rawBytes": "b3du"}, {"rawBytes": "cm9vdA=="}]},
            "validFor": {"start": "1970-01-01T00:00:00Z"},
        }
    ]
    assert document["ctlogs"] == [
        {
            "baseUrl": "",
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": base64.b64encode(key.spki).decode(),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": {"start": "1970-01-01T00:00:00Z"},
            },
            "logId": {"keyId": base64.b64encode(bytes.fromhex(key.sha256)).decode()},
        }
    ]


CHANGES = {
    "another scheme": lambda log: log.update(baseUrl="http://atlas.example.org/log"),
    "no name": lambda log: log.update(baseUrl="https://"),
    "another key": lambda log: log["publicKey"].update(rawBytes=base64.b64encode(bytes(44)).decode()),
    "half a key": lambda log: log["publicKey"].update(rawBytes=base64.b64encode(bytes(16)).decode()),
    "another key's id": lambda log: log["logId"].update(keyId=base64.b64encode(bytes(32)).decode()),
    "another algorithm": lambda log: log["publicKey"].update(keyDetails="PKIX_ECDSA_P256_SHA_256"),
    "an end": lambda log: log["publicKey"]["validFor"].update(end="2030-01-01T00:00:00Z"),
    "an operator": lambda log: log.update(operator="example"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_log_that_we_do_not_write_is_malformed(change):
    document = json.loads(TrustedRoot(logs=[LOG]).to_bytes())
    assert TrustedRoot.parse(spelled(document)).logs == (LOG,)
    CHANGES[change](document["tlogs"][0])
    with pytest.raises(MalformedError):
        TrustedRoot.parse(spelled(document))


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"tlogs":{}}', b'{"tlogs":[1]}', b" " * (MAX_TRUSTED_ROOT_SIZE + 1)]
)
def test_what_is_no_trusted_root_is_malformed(content):
    with pytest.raises(MalformedError):
        TrustedRoot.parse(content)


def test_a_log_that_signs_with_ecdsa_is_told_by_its_key_as_it_is():
    spki = ec.derive_private_key(7, ec.SECP256R1()).public_key()
    der = spki.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    root = TrustedRoot(logs=[VerifierKey(name="rekor.example", public_key=der, kind=ECDSA)])
    assert TrustedRoot.parse(root.to_bytes()).logs == tuple(root.logs)
    (log,) = json.loads(root.to_bytes())["tlogs"]
    assert log["publicKey"]["keyDetails"] == "PKIX_ECDSA_P256_SHA_256"
    assert base64.b64decode(log["publicKey"]["rawBytes"]) == der
    assert base64.b64decode(log["logId"]["keyId"]) == hashlib.sha256(der).digest()
