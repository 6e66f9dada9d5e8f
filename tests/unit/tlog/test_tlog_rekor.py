"""What Rekor v2 is told and answers: both ways, and nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas import merkle
from airflow_provider_atlas.encoding import b64encode
from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tlog.checkpoint import Checkpoint
from airflow_provider_atlas.tlog.hashedrekord import HashedRekord
from airflow_provider_atlas.tlog.note import sign
from airflow_provider_atlas.tlog.receipt import Receipt
from airflow_provider_atlas.tlog.rekor import MAX_REQUEST_BYTES, LogEntry, parse_request, request
from tests.support.logs import KEY, ORIGIN, SIGNING_KEY, leaf, record, records

SIZES = st.integers(1, 70)


def logged(size: int, index: int) -> LogEntry:
    """Return the entry ``index`` of a log of ``size`` records."""
    nodes = merkle.nodes_of([merkle.leaf_hash(each) for each in records(0, size)])
    text = Checkpoint(origin=ORIGIN, size=size, root=merkle.root(size, nodes)).to_text()
    proof = merkle.inclusion_proof(index, size, nodes)
    receipt = Receipt(index=index, hashes=proof, note=sign(text, ORIGIN, SIGNING_KEY))
    return LogEntry(body=record(index), receipt=receipt, log_id=KEY.key_hash)


@given(st.integers(0, 50))
def test_a_request_is_read_as_it_was_written(number):
    assert parse_request(request(leaf(number))) == leaf(number)
    parse_request(request(leaf(number))).verify()


def test_a_request_is_what_rekor_documents():
    asked = json.loads(request(leaf(0)))
    assert asked == {
        "hashedRekordRequestV002": {
            "digest": b64encode(leaf(0).digest),
            "signature": {
                "content": b64encode(leaf(0).signature),
                "verifier": {
                    "publicKey": {"rawBytes": b64encode(leaf(0).spki)},
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                },
            },
        }
    }


@given(SIZES.flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))))
def test_an_entry_is_read_as_it_was_written_and_its_receipt_holds(place):
    entry = logged(*place)
    read = LogEntry.parse(entry.to_bytes())
    assert read == entry
    assert read.to_bytes() == entry.to_bytes()
    assert read.receipt.check(read.body, ORIGIN, [KEY]).size == place[0]


def test_an_entry_is_what_sigstores_protobuf_spells():
    said = json.loads(logged(3, 1).to_bytes())
    proof = said["inclusionProof"]
    assert said["logIndex"] == proof["logIndex"] == "1"
    assert proof["treeSize"] == "3"
    assert said["integratedTime"] == "0"
    assert said["kindVersion"] == {"kind": "hashedrekord", "version": "0.0.2"}
    assert proof["checkpoint"]["envelope"].startswith(f"{ORIGIN}\n3\n{proof['rootHash']}\n\n")


def test_what_protojson_leaves_out_or_spells_as_numbers_is_read_alike():
    said = json.loads(logged(1, 0).to_bytes())
    del said["logIndex"], said["inclusionPromise"], said["integratedTime"]
    del said["inclusionProof"]["logIndex"], said["inclusionProof"]["hashes"]
    said["inclusionProof"]["treeSize"] = 1
    said["unheardOf"] = {}
    assert LogEntry.parse(json.dumps(said).encode()) == logged(1, 0)


def changed(document, path, value):
    for name in path[:-1]:
        document = document[name]
    document[path[-1]] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("logIndex",), "2"),
        (("logIndex",), -1),
        (("logIndex",), True),
        (("logIndex",), "01"),
        (("logIndex",), "9" * 30),
        (("kindVersion", "version"), "0.0.1"),
        (("kindVersion",), None),
        (("logId",), "x"),
        (("canonicalizedBody",), "?"),
        (("inclusionProof",), None),
        (("inclusionProof", "treeSize"), "4"),
        (("inclusionProof", "rootHash"), b64encode(bytes(32))),
        (("inclusionProof", "hashes"), [""]),
        (("inclusionProof", "hashes"), [b64encode(bytes(32))] * 64),
        (("inclusionProof", "hashes"), None),
        (("inclusionProof", "checkpoint"), {"envelope": "nothing"}),
    ],
)
def test_an_entry_that_contradicts_itself_is_refused(path, value):
    said = json.loads(logged(3, 1).to_bytes())
    changed(said, path, value)
    with pytest.raises(MalformedError):
        LogEntry.parse(json.dumps(said).encode())


@pytest.mark.parametrize("parse", [LogEntry.parse, parse_request])
@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"null", b"1e999", b"\xff", b"{" * 9000, b'{"a":1,"a":1}'])
def test_hostile_bytes_are_malformed_and_nothing_else(parse, data):
    with pytest.raises(MalformedError):
        parse(data)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_whatever_bytes_are_read_or_malformed(data):
    for parse in (LogEntry.parse, parse_request, HashedRekord.parse):
        with pytest.raises(MalformedError):
            parse(data)


def test_a_request_beyond_the_limit_is_not_looked_at():
    with pytest.raises(MalformedError, match="at most"):
        parse_request(request(leaf(0)).ljust(MAX_REQUEST_BYTES + 1))


def test_an_entry_whose_key_signed_something_else_does_not_verify():
    stranger = HashedRekord(digest=leaf(1).digest, signature=leaf(0).signature, spki=leaf(0).spki)
    with pytest.raises(SignatureError):
        stranger.verify()


@pytest.mark.parametrize("signature", [b"\x30\x00", b"x", b"\x30\x06\x02\x01\x00\x02\x01\x00", b"\0" * 72])
def test_a_signature_that_is_none_does_not_verify(signature):
    with pytest.raises(SignatureError):
        HashedRekord(digest=leaf(0).digest, signature=signature, spki=leaf(0).spki).verify()


@pytest.mark.parametrize("spki", [b"", b"x", leaf(0).spki[:-1], leaf(0).spki + b"\0", leaf(0).spki[:-1] + b"\0"])
def test_a_key_that_is_none_is_malformed(spki):
    with pytest.raises(MalformedError):
        HashedRekord(digest=leaf(0).digest, signature=leaf(0).signature, spki=spki).verify()
