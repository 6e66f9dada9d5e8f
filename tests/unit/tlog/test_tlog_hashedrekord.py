import base64
import json

import pytest

from airflow_provider_atlas.errors import MalformedError
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord

LEAF = HashedRekord(digest=bytes(range(32)), signature=b"signature", spki=b"a key")
# What rekor-tiles writes for these values: protojson, then RFC 8785 (HashedRekordLogEntryV002).
BYTES = (
    b'{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256",'
    b'"digest":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="},"signature":{"content":"c2lnbmF0dXJl","verifier":'
    b'{"keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{"rawBytes":"YSBrZXk="}}}}}}'
)


def test_leaf_is_spelled_as_rekor_v2_spells_it():
    assert LEAF.to_bytes() == BYTES
    assert HashedRekord.parse(BYTES) == LEAF


def test_leaf_of_a_p256_key_is_small():
    leaf = HashedRekord(digest=bytes(32), signature=bytes(71), spki=bytes(91))
    assert len(leaf.to_bytes()) == 489


CERTIFIED = HashedRekord(digest=LEAF.digest, signature=LEAF.signature, certificate=b"a key")


def test_leaf_of_a_certificate_is_spelled_as_rekor_v2_spells_it():
    spelled = BYTES.replace(b'"publicKey"', b'"x509Certificate"')
    assert CERTIFIED.to_bytes() == spelled
    assert HashedRekord.parse(spelled) == CERTIFIED != LEAF


@pytest.mark.parametrize("certificate", [b"x", b"0\x82"])
def test_a_certificate_that_is_none_verifies_nothing(certificate):
    with pytest.raises(MalformedError):
        HashedRekord(digest=bytes(32), signature=b"signature", certificate=certificate).verify()


def changed(*path_and_value: object) -> bytes:
    *path, value = path_and_value
    document = json.loads(BYTES)
    target = document
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = value
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


RECORD = ("spec", "hashedRekordV002")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        BYTES + b"\n",
        BYTES.replace(b":", b": ", 1),
        changed("apiVersion", "0.0.1"),
        changed("kind", "dsse"),
        changed("more", 1),
        changed("spec", {}),
        changed("spec", "more", 1),
        changed(*RECORD, "more", 1),
        changed(*RECORD, "data", "algorithm", "SHA2_512"),
        changed(*RECORD, "data", "more", 1),
        changed(*RECORD, "data", "digest", base64.b64encode(bytes(31)).decode()),
        changed(*RECORD, "data", "digest", 1),
        changed(*RECORD, "signature", "content", ""),
        changed(*RECORD, "signature", "content", "YQ"),
        changed(*RECORD, "signature", "more", 1),
        changed(*RECORD, "signature", "verifier", "keyDetails", "PKIX_ED25519"),
        changed(*RECORD, "signature", "verifier", "more", 1),
        changed(*RECORD, "signature", "verifier", "publicKey", {"rawBytes": ""}),
        changed(*RECORD, "signature", "verifier", "publicKey", {"rawBytes": "YQ==", "more": 1}),
        changed(*RECORD, "signature", "verifier", "x509Certificate", {"rawBytes": "YQ=="}),
        changed(*RECORD, "signature", "content", base64.b64encode(bytes(65_535)).decode()),
    ],
)
def test_everything_but_the_one_spelling_of_a_leaf_is_malformed(data):
    with pytest.raises(MalformedError):
        HashedRekord.parse(data)
