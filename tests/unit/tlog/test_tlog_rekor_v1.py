"""What Rekor's first version logs, is told and answers; and the public log, as it is."""

import base64
import dataclasses
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.encoding import b64encode
from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tlog import merkle, rekor_v1
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord
from airflow_provider_atlas.tlog.note import ECDSA, NoteSignature, SignedNote, VerifierKey, verify
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.rekor_v1 import LogEntry, Promise
from airflow_provider_atlas.tlog.trust import TrustedLog
from tests.support.logs import KEY, leaf, record
from tests.support.rekor_v1 import HOST, RekorV1, spki_of

PUBLIC = Path(__file__).parents[2] / "vectors" / "rekor-v1" / "public.tlog-proof"
PUBLIC_ORIGIN = "rekor.sigstore.dev - 1193050959916656506"
PUBLIC_KEY = (
    "rekor.sigstore.dev+c0d23d6a+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm3U1eQXBogSMdGvXwBcK5AW5i0hrZLOC96l+smGNM7n"
    "wZ4QvFK/4sueRoVj//QP22Ni4Qt9DPfkWLc="
)
PUBLIC_LEAF = bytes.fromhex("18165a240f8d9b6b6cb3b07dfbd0a5308ba1b2c71f0919069b7cfca9280c4ee3")
SIGNER = ec.derive_private_key(11, ec.SECP256R1())
LOG = VerifierKey(name=HOST, public_key=spki_of(SIGNER), kind=ECDSA)
LEAF = rekor_v1.leaf(leaf(5))


@pytest.fixture(scope="module")
def answer() -> bytes:
    log = RekorV1(SIGNER)
    for number in range(9):
        log.write(rekor_v1.leaf(leaf(number)))
    log.server_close()
    return json.dumps(log.entry(5)).encode()


def test_the_public_log_is_believed_by_its_key():
    receipt, key = Receipt.parse(PUBLIC.read_bytes()), VerifierKey.parse(PUBLIC_KEY)
    assert str(key) == PUBLIC_KEY
    assert receipt.to_bytes() == PUBLIC.read_bytes()
    assert verify(receipt.note, [key]) == (key,)
    checkpoint = receipt.checkpoint
    assert (checkpoint.origin, checkpoint.size) == (PUBLIC_ORIGIN, 476_246_825)
    merkle.check_inclusion(receipt.index, checkpoint.size, PUBLIC_LEAF, receipt.hashes, checkpoint.root)
    assert rekor_v1.tree_of(PUBLIC_ORIGIN) == "1193050959916656506"


def test_an_ecdsa_key_has_the_id_that_signed_note_gives_it():
    key = VerifierKey.parse(PUBLIC_KEY)
    assert key.key_hash.hex() == "c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d"  # as the log has it
    assert dataclasses.replace(key, name="other.example").key_id == key.key_id


def signed(text: str, key: ec.EllipticCurvePrivateKey = SIGNER) -> SignedNote:
    line = NoteSignature(name=HOST, key_id=LOG.key_id, signature=key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return SignedNote(text=text, signatures=(line,))


def test_an_ecdsa_signature_of_another_text_or_key_is_refused():
    assert verify(signed("a text\n"), [LOG]) == (LOG,)
    for wrong in (
        dataclasses.replace(signed("a text\n"), text="another text\n"),
        signed("a text\n", ec.derive_private_key(12, ec.SECP256R1())),
        SignedNote(text="a text\n", signatures=(NoteSignature(name=HOST, key_id=LOG.key_id, signature=bytes(64)),)),
    ):
        with pytest.raises(SignatureError):
            verify(wrong, [LOG])


def spelled(spki: bytes) -> str:
    key = VerifierKey(name=HOST, public_key=spki, kind=ECDSA)
    return f"{HOST}+{key.key_id.hex()}+{b64encode(bytes([ECDSA]) + spki)}"


@pytest.mark.parametrize(
    "spki",
    [
        LOG.public_key[:-1],
        LOG.public_key + b"\0",
        LOG.public_key[:-1] + bytes([LOG.public_key[-1] ^ 1]),  # no point of the curve
        bytes(91),
        spki_of(ec.derive_private_key(7, ec.SECP384R1())),
        spki_of(ec.derive_private_key(7, ec.SECP256K1())),
        SIGNER.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
    ],
    ids=["short", "long", "no point", "nothing", "P-384", "another curve", "no SPKI"],
)
def test_what_is_no_p256_key_in_its_one_spelling_is_malformed(spki: bytes):
    assert VerifierKey.parse(spelled(LOG.public_key)) == LOG
    with pytest.raises(MalformedError):
        VerifierKey.parse(spelled(spki))


@given(st.integers(0, 50))
def test_a_leaf_is_read_as_it_was_written(number: int):
    assert rekor_v1.parse_leaf(rekor_v1.leaf(leaf(number))) == leaf(number)
    assert TrustedLog(origin="x", key=LOG, entries="hashedrekord 0.0.1").leaf(record(number)) == rekor_v1.leaf(
        leaf(number)
    )


def test_a_leaf_holds_the_digest_the_signature_the_key_and_nothing_else():
    spec = json.loads(LEAF)["spec"]
    assert spec["data"] == {"hash": {"algorithm": "sha256", "value": leaf(5).digest.hex()}}
    assert sorted(spec["signature"]) == ["content", "publicKey"]


@given(data=st.data())
def test_any_bytes_are_a_leaf_in_its_one_spelling_or_malformed(data: st.DataObject):
    start = data.draw(st.integers(0, len(LEAF)))
    hostile = LEAF[:start] + data.draw(st.binary(max_size=4)) + LEAF[data.draw(st.integers(start, start + 4)) :]
    try:
        found = rekor_v1.parse_leaf(hostile)
    except MalformedError:
        return
    assert rekor_v1.leaf(found) == hostile


@pytest.mark.parametrize("wrong", [b"", b"{}", record(5), LEAF.replace(b"0.0.1", b"0.0.2"), LEAF + b" " * 65_535])
def test_what_is_no_leaf_of_rekor_v1_is_malformed(wrong: bytes):
    with pytest.raises(MalformedError):
        rekor_v1.parse_leaf(wrong)


def test_an_answer_is_read_with_its_promise(answer: bytes):
    logged = LogEntry.parse(answer)
    assert (logged.body, logged.log_id, logged.receipt.index) == (LEAF, LOG.key_hash, 5)
    promise = Promise.parse(logged.receipt.extra)
    promise.check(LEAF, LOG)
    assert promise.index == 1005
    assert Promise.parse(promise.to_bytes()) == promise
    with pytest.raises(SignatureError):
        promise.check(rekor_v1.leaf(leaf(6)), LOG)
    with pytest.raises(SignatureError):
        promise.check(LEAF, KEY)


@given(data=st.data())
def test_any_answer_is_read_or_malformed(answer: bytes, data: st.DataObject):
    start = data.draw(st.integers(0, len(answer)))
    hostile = answer[:start] + data.draw(st.binary(max_size=4)) + answer[data.draw(st.integers(start, start + 4)) :]
    for parse in (LogEntry.parse, Promise.parse, rekor_v1.parse_head, rekor_v1.parse_consistency):
        try:
            parse(hostile)
        except MalformedError:
            continue


@given(st.text(max_size=90))
def test_any_name_of_an_entry_or_a_tree_is_read_or_malformed(name: str):
    for parse in (rekor_v1.leaf_hash_in, rekor_v1.tree_of):
        try:
            parse(name)
        except MalformedError:
            continue


def test_a_key_that_a_leaf_cannot_spell_twice_is_malformed():
    pem = json.loads(LEAF)
    for change in (lambda text: text.replace(b"\n", b"\r\n"), lambda text: text + b"\n", lambda _: b"no PEM"):
        content = base64.b64decode(json.loads(LEAF)["spec"]["signature"]["publicKey"]["content"])
        pem["spec"]["signature"]["publicKey"]["content"] = base64.b64encode(change(content)).decode()
        with pytest.raises(MalformedError):
            rekor_v1.parse_leaf(json.dumps(pem, sort_keys=True, separators=(",", ":")).encode())


def test_a_log_of_rekor_v1_takes_hashedrekords_alone():
    with pytest.raises(MalformedError):
        TrustedLog(origin="x", key=LOG, entries="hashedrekord 0.0.1").leaf(b"anything")
    assert TrustedLog(origin="x", key=LOG).leaf(b"anything") == b"anything"
    assert HashedRekord.parse(record(5)) == leaf(5)
