"""AWS Nitro enclaves: their documents, and what the Nitro Security Module is asked."""

import ctypes
from pathlib import Path

import pytest

from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.errors import AttesterError, ConfigError, MalformedError
from airflow_provider_atlas.tee.backends.nsm import NSM_IOCTL, NitroAttester, ask_device
from airflow_provider_atlas.tee.nitro.cbor import parse_cbor, to_cbor
from airflow_provider_atlas.tee.nitro.document import NitroDocument, NitroPayload
from airflow_provider_atlas.tee.nitro.nsm import attestation_document, attestation_request
from tests.support.simulated_nitro import MADE, PCRS, REPORT_DATA, Hypervisor


@pytest.fixture(scope="module")
def hypervisor() -> Hypervisor:
    return Hypervisor.create()


def test_its_claims_say_what_the_document_says(hypervisor: Hypervisor):
    claims = hypervisor.verify(hypervisor.show(nonce=b"\1\2", public_key=b"key"))
    assert (claims.tee, claims.tcb_status, claims.debug, claims.development) == ("nitro", None, False, True)
    assert claims.report_data == REPORT_DATA
    assert claims.root_sha256 == hypervisor.root_sha256
    assert claims.measurements == {f"pcr{index}": value.hex() for index, value in PCRS.items()}
    assert claims.facts == {
        "timestamp": int(MADE.timestamp() * 1000),
        "module_id": "i-0123456789abcdef0-enc0123456789abcdef",
        "nonce": "0102",
        "public_key_sha256": sha256_hex(b"key"),
    }


def test_what_the_enclave_did_not_ask_for_is_no_fact(hypervisor: Hypervisor):
    assert set(hypervisor.verify(hypervisor.show()).facts) == {"timestamp", "module_id"}


def test_members_that_are_left_out_are_as_null_ones(hypervisor: Hypervisor):
    members = hypervisor.payload()
    del members["nonce"], members["public_key"]
    shown = NitroPayload.parse(to_cbor(members))
    assert (shown.nonce, shown.public_key) == (None, None)


def test_a_payload_with_an_open_ended_map_is_read_as_it_is(hypervisor: Hypervisor):
    # Hypervisors of 2025 write their outer map so.
    definite = to_cbor(hypervisor.payload())
    open_ended = b"\xbf" + definite[1:] + b"\xff"
    assert NitroPayload.parse(open_ended) == NitroPayload.parse(definite)
    document = hypervisor.document(open_ended)
    assert NitroDocument.parse(document.to_bytes()).payload == open_ended


@pytest.mark.parametrize(
    "members",
    [
        {"digest": "SHA256"},
        {"timestamp": 0},
        {"timestamp": 253_402_300_800_000},  # the year 10000
        {"timestamp": 1.5},
        {"timestamp": True},
        {"pcrs": [bytes(48)]},
        {"pcrs": {0: bytes(32)}},
        {"pcrs": {32: bytes(48)}},
        {"pcrs": {-1: bytes(48)}},
        {"pcrs": {"0": bytes(48)}},
        {"pcrs": {0: "0"}},
        {"certificate": None},
        {"cabundle": []},
        {"cabundle": ["x"]},
        {"cabundle": [b"x"] * 10},
        {"module_id": b"x"},
        {"user_data": "text"},
        {"more": 1},
    ],
    ids=lambda members: ascii(members)[:40],
)
def test_a_payload_with_something_else_in_it_is_malformed(hypervisor: Hypervisor, members: dict[str, object]):
    with pytest.raises(MalformedError):
        NitroPayload.parse(to_cbor(hypervisor.payload(**members)))


@pytest.mark.parametrize("name", ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"])
def test_a_payload_that_lacks_a_member_is_malformed(hypervisor: Hypervisor, name: str):
    members = hypervisor.payload()
    del members[name]
    with pytest.raises(MalformedError, match="members that are documented"):
        NitroPayload.parse(to_cbor(members))


def test_a_document_in_another_spelling_is_malformed(hypervisor: Hypervisor):
    genuine = hypervisor.document()
    data = genuine.to_bytes()
    assert data.startswith(bytes.fromhex("8444a1013822a059"))
    others = (
        b"\xd2" + data,  # the tag of COSE_Sign1
        b"\x9f" + data[1:] + b"\xff",  # open-ended
        data.replace(b"\x44\xa1\x01\x38\x22\xa0", b"\x44\xa1\x01\x38\x22\xbf\xff", 1),
        data.replace(b"\x84\x44", b"\x84\x58\x04", 1),  # a longer length than it takes
        data.replace(b"\x38\x22\xa0", b"\x38\x22\xa1\x04\x41\x00", 1),  # an unprotected header
        data.replace(b"\x38\x22", b"\x38\x23", 1),  # ES512
        data + b"\0",
        data[:-1],
        to_cbor([b"\xa1\x01\x38\x22", {}, genuine.payload, genuine.signature[:64]]),
        to_cbor([b"\xa1\x01\x38\x22", {}, genuine.payload]),
        to_cbor({"document": data}),
    )
    for other in others:
        with pytest.raises(MalformedError):
            NitroDocument.parse(other)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xa2\x01\x02\x01\x03",  # one key twice
        b"\x81" * 9 + b"\x01",  # deep
        b"\x01\x02",  # two items
        b"\xc0\x61x",  # a time that is none
        b"\x5b" + b"\xff" * 8,  # longer than memory
        bytes(64 * 1024 + 1),
    ],
)
def test_cbor_that_readers_disagree_about_is_malformed(data: bytes):
    with pytest.raises(MalformedError):
        parse_cbor(data, "it")


def test_the_module_is_asked_as_its_interface_says():
    assert attestation_request(b"\1\2") == bytes.fromhex(
        "a1 6b 4174746573746174696f6e"  # {"Attestation":
        "a3 69 757365725f64617461 42 0102"  # {"user_data": h'0102',
        "65 6e6f6e6365 f6"  # "nonce": null,
        "6a 7075626c69635f6b6579 f6"  # "public_key": null}}
    )


def test_the_modules_answer_is_the_document_or_a_reason():
    assert attestation_document(to_cbor({"Attestation": {"document": b"doc"}})) == b"doc"
    with pytest.raises(AttesterError, match="InvalidArgument"):
        attestation_document(to_cbor({"Error": "InvalidArgument"}))
    for other in (b"", to_cbor({}), to_cbor({"Attestation": {}}), to_cbor("Attestation"), to_cbor({"Error": 1})):
        with pytest.raises(MalformedError):
            attestation_document(other)


def test_its_evidence_commits_to_the_report_data(hypervisor: Hypervisor):
    def exchange(request: bytes) -> bytes:
        asked = parse_cbor(request, "the request")["Attestation"]
        document = hypervisor.document(user_data=asked["user_data"]).to_bytes()
        return to_cbor({"Attestation": {"document": document}})

    shown = NitroAttester("", exchange).attest(bytes(64))
    assert (shown.tee, shown.provider) == ("nitro", "nitro")
    assert hypervisor.verify(shown).report_data == bytes(64)


def test_an_answer_that_cannot_be_read_is_told():
    with pytest.raises(AttesterError, match="cannot read"):
        NitroAttester("", lambda _: b"").attest(bytes(64))
    with pytest.raises(AttesterError, match="64 bytes of report data, not 32"):
        NitroAttester("", lambda _: b"").attest(bytes(32))


def test_a_machine_that_is_no_enclave_is_told():
    with pytest.raises(AttesterError, match="inside a Nitro enclave"):
        NitroAttester("")
    with pytest.raises(ConfigError, match="nothing after nitro:"):
        NitroAttester("/dev/nsm")


def test_the_ioctl_is_the_kernels():
    assert NSM_IOCTL == 0xC0200A00
    assert ctypes.sizeof(ctypes.c_void_p) == 8


def test_a_device_that_is_none_is_told(tmp_path: Path):
    (tmp_path / "nsm").touch()
    for path in (tmp_path / "nsm", tmp_path / "nothing"):
        with pytest.raises(AttesterError, match="cannot ask the Nitro Security Module"):
            ask_device(b"\xa0", str(path))
