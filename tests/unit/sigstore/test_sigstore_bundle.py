"""A Sigstore bundle: every member by its name in protobuf's JSON, and no bundle of what does not verify."""

import base64
import dataclasses
import hashlib
import json

import pytest

from airflow_provider_atlas.bundle import log_entry
from airflow_provider_atlas.errors import InclusionError, MalformedError, SignatureError
from airflow_provider_atlas.sigstore.bundle import SigstoreBundle, key_hint
from airflow_provider_atlas.tlog.note import VerifierKey
from airflow_provider_atlas.tlog.trust import TrustedLog
from tests.support.attested_run import AttestedRun


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return AttestedRun(tmp_path_factory.mktemp("run")).complete()


@pytest.fixture(scope="module")
def record(run):
    return run.records["publish"][1]


@pytest.fixture(scope="module")
def log(run):
    from airflow_provider_atlas.wiring import logs

    return TrustedLog(origin=run.settings.log_origin, key=logs.log_verifier_key(run.settings))


@pytest.fixture(scope="module")
def bundle(record, log):
    return SigstoreBundle.of(record.envelopes["link"], record.public_key, record.receipts["link"], log)


@pytest.fixture
def document(bundle):
    return json.loads(bundle.to_bytes())


def names(value):
    if isinstance(value, dict):
        return {name: names(member) for name, member in value.items()}
    return [names(value[0])] if isinstance(value, list) else type(value)


def test_every_member_has_its_name_in_the_json_of_protobuf(document):
    proof = {
        "logIndex": str,
        "rootHash": str,
        "treeSize": str,
        "hashes": [str],
        "checkpoint": {"envelope": str},
    }
    entry = {
        "logIndex": str,
        "logId": {"keyId": str},
        "kindVersion": {"kind": str, "version": str},
        "inclusionProof": proof,
        "canonicalizedBody": str,
    }
    assert names(document) == {
        "mediaType": str,
        "verificationMaterial": {"publicKey": {"hint": str}, "tlogEntries": [entry]},
        "dsseEnvelope": {"payload": str, "payloadType": str, "signatures": [{"keyid": str, "sig": str}]},
    }


def test_what_it_says_is_what_the_record_says(document, record, log):
    receipt, (entry,) = record.receipts["link"], document["verificationMaterial"]["tlogEntries"]
    proof = entry["inclusionProof"]
    assert document["dsseEnvelope"] == record.envelopes["link"].to_json()
    assert base64.b64decode(entry["canonicalizedBody"]) == log_entry(record.envelopes["link"], record.public_key)
    assert (entry["logIndex"], proof["logIndex"]) == (str(receipt.index), str(receipt.index))
    assert proof["treeSize"] == str(receipt.checkpoint.size)
    assert base64.b64decode(proof["rootHash"]) == receipt.checkpoint.root
    assert proof["checkpoint"]["envelope"].encode() == receipt.note.to_bytes()
    preimage = log.key.name.encode() + b"\n\x01" + log.key.public_key
    assert base64.b64decode(entry["logId"]["keyId"]) == hashlib.sha256(preimage).digest()


def test_the_hint_is_the_id_of_rfc_6962(document, record):
    hint = document["verificationMaterial"]["publicKey"]["hint"]
    assert hint == key_hint(record.public_key)
    assert base64.b64decode(hint).hex() == record.public_key.sha256


def test_what_nothing_signs_of_a_receipt_is_left_out(bundle, record, log):
    receipt = dataclasses.replace(record.receipts["link"], extra=b"hear, hear")
    assert SigstoreBundle.of(record.envelopes["link"], record.public_key, receipt, log) == bundle


def test_no_bundle_is_made_of_an_envelope_that_its_key_did_not_sign(record, log):
    envelope = dataclasses.replace(record.envelopes["link"], payload=b"{}")
    with pytest.raises(SignatureError):
        SigstoreBundle.of(envelope, record.public_key, record.receipts["link"], log)


def test_no_bundle_is_made_with_the_receipt_of_another_envelope(record, log):
    with pytest.raises(InclusionError):
        SigstoreBundle.of(record.envelopes["link"], record.public_key, record.receipts["tee"], log)


def test_no_bundle_is_made_with_a_checkpoint_of_another_key_or_log(record, log):
    stranger = TrustedLog(origin=log.origin, key=VerifierKey(name=log.key.name, public_key=bytes(32)))
    elsewhere = TrustedLog(origin="elsewhere.example/log", key=log.key)
    for other in (stranger, elsewhere):
        with pytest.raises(SignatureError):
            SigstoreBundle.of(record.envelopes["link"], record.public_key, record.receipts["link"], other)


def test_a_time_stamp_stands_where_protobuf_has_it(bundle, document):
    stamped = dataclasses.replace(bundle, timestamp=b"when")
    assert SigstoreBundle.parse(stamped.to_bytes()) == stamped
    told = {"rfc3161Timestamps": [{"signedTimestamp": "d2hlbg=="}]}
    document["verificationMaterial"]["timestampVerificationData"] = told
    assert json.loads(stamped.to_bytes()) == document


def entry_of(document):
    return document["verificationMaterial"]["tlogEntries"][0]


CHANGES = {
    "another index": lambda document: entry_of(document).update(logIndex="0"),
    "another root": lambda document: entry_of(document)["inclusionProof"].update(
        rootHash=base64.b64encode(bytes(32)).decode()
    ),
    "another size": lambda document: entry_of(document)["inclusionProof"].update(treeSize="1"),
    "another log": lambda document: entry_of(document)["logId"].update(keyId=base64.b64encode(bytes(32)).decode()),
    "a short log id": lambda document: entry_of(document)["logId"].update(
        keyId=base64.b64encode(base64.b64decode(entry_of(document)["logId"]["keyId"])[:4]).decode()
    ),
    "another hint": lambda document: document["verificationMaterial"]["publicKey"].update(hint="workers"),
    "another keyid": lambda document: document["dsseEnvelope"]["signatures"][0].update(keyid="00" * 32),
    "a keyid that is no string": lambda document: document["dsseEnvelope"]["signatures"][0].update(keyid=1),
    "another kind": lambda document: entry_of(document)["kindVersion"].update(version="0.0.1"),
    "a time": lambda document: entry_of(document).update(integratedTime="1764000000"),
    "a number for a string": lambda document: entry_of(document)["inclusionProof"].update(logIndex=1),
    "a hash that is none": lambda document: entry_of(document)["inclusionProof"].update(hashes=[""]),
    "a hash that is no string": lambda document: entry_of(document)["inclusionProof"].update(hashes=[1]),
    "too many hashes": lambda document: entry_of(document)["inclusionProof"].update(
        hashes=[base64.b64encode(bytes(32)).decode()] * 64
    ),
    "two entries": lambda document: document["verificationMaterial"]["tlogEntries"].append(entry_of(document)),
    "no entry": lambda document: document["verificationMaterial"].update(tlogEntries=[]),
    "a time-stamp that is null": lambda document: document["verificationMaterial"].update(
        timestampVerificationData=None
    ),
    "no time-stamp among them": lambda document: document["verificationMaterial"].update(
        timestampVerificationData={"rfc3161Timestamps": []}
    ),
    "two time-stamps": lambda document: document["verificationMaterial"].update(
        timestampVerificationData={"rfc3161Timestamps": [{"signedTimestamp": "AA=="}, {"signedTimestamp": "AA=="}]}
    ),
    "a certificate": lambda document: document["verificationMaterial"].update(certificate={"rawBytes": ""}),
    "another version": lambda document: document.update(
        mediaType="application/vnd.dev.sigstore.bundle+json;version=0.2"
    ),
    "a body of another kind": lambda document: entry_of(document).update(canonicalizedBody="e30="),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_bundle_that_contradicts_itself_or_is_of_another_kind_is_malformed(document, change):
    CHANGES[change](document)
    content = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    with pytest.raises(MalformedError):
        SigstoreBundle.parse(content)


def test_a_bundle_in_another_spelling_is_malformed(document):
    with pytest.raises(MalformedError, match="one spelling"):
        SigstoreBundle.parse(json.dumps(document).encode())


def test_a_bundle_beyond_the_limit_is_malformed():
    with pytest.raises(MalformedError, match="at most 67108864 bytes"):
        SigstoreBundle.parse(b" " * (64 * 1024 * 1024 + 1))
