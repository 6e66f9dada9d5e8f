"""TPM quotes: what their claims are, and how their structures read."""

import hashlib
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_atlas.errors import ConfigError, MalformedError, SignatureError
from airflow_provider_atlas.tee.backends.tpm import TpmVerifier
from airflow_provider_atlas.tee.backends.tpm_address import DEFAULT_PCRS, TpmAddress
from airflow_provider_atlas.tee.binding import is_committed
from airflow_provider_atlas.tee.evidence import PEM_CERTIFICATE_CHAIN, Endorsements
from airflow_provider_atlas.tee.pem import to_pem
from airflow_provider_atlas.tee.tpm.attestation_key import AttestationKey
from airflow_provider_atlas.tee.tpm.evidence import TpmEvidence
from airflow_provider_atlas.tee.tpm.structures import TpmQuote, TpmSignature
from tests.support import certificates
from tests.support.simulated_tpm import AT, COMMITMENT, PCRS, SimulatedTpm, quote_of


@pytest.fixture(scope="module")
def tpm() -> SimulatedTpm:
    return SimulatedTpm.rsa()


KINDS = {
    "rsassa": SimulatedTpm.rsa,
    "rsapss": lambda: SimulatedTpm.rsa("rsapss", 3072, "sha384"),
    "ecdsa": SimulatedTpm.ecc,
    "ecdsa-p384": lambda: SimulatedTpm.ecc(ec.SECP384R1, "sha384"),
    "ecdsa-p521": lambda: SimulatedTpm.ecc(ec.SECP521R1, "sha512"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_quote_by_each_scheme_is_genuine(kind: str):
    tpm = KINDS[kind]()
    claims = tpm.verify(tpm.show(tpm.signed()))
    assert claims.facts["signature_scheme"] == f"{tpm.scheme}-{tpm.hash_name}"


def test_its_claims_say_what_the_quote_says(tpm: SimulatedTpm):
    claims = tpm.verify(tpm.show(tpm.signed()))
    assert (claims.tee, claims.tcb_status, claims.debug) == ("tpm", None, False)
    assert claims.report_data == COMMITMENT
    assert claims.measurements == {f"pcr{index}": value.hex() for index, value in PCRS.items()}
    assert claims.facts == {
        "ak_sha256": tpm.ak_sha256,
        "firmware_version": "2019102300163636",
        "clock": 123456,
        "reset_count": 7,
        "restart_count": 1,
        "safe": True,
        "signature_scheme": "rsassa-sha256",
    }


def test_it_commits_to_the_64_bytes_that_its_32_are_the_digest_of(tpm: SimulatedTpm):
    claims = tpm.verify(tpm.show(tpm.signed()))
    assert is_committed(bytes(range(64)), claims.report_data)
    assert not is_committed(bytes(64), claims.report_data)


def test_its_root_is_its_key_and_only_who_says_so_takes_it_for_a_simulator(tpm: SimulatedTpm):
    shown = tpm.show(tpm.signed())
    known = tpm.verify(shown)
    unknown = TpmVerifier().verify(shown, development_roots=(), at=AT)
    assert known.root_sha256 == unknown.root_sha256 == tpm.ak_sha256
    assert (known.development, unknown.development) == (True, False)


def test_a_certified_key_says_which_root_its_certificates_lead_to():
    tpm = SimulatedTpm.ecc()
    authority = certificates.root().issue("AK CA", ca=True)
    leaf = authority.issue("AK", tpm.key)
    shown = tpm.show(tpm.signed(), Endorsements(media_type=PEM_CERTIFICATE_CHAIN, content=to_pem(*leaf.chain)))
    assert tpm.verify(shown).facts["ak_root_sha256"] == hashlib.sha256(leaf.chain[-1]).hexdigest()


def test_the_selection_names_the_registers_of_the_bitmap():
    assert quote_of(PCRS).selection == (0, 4, 7, 14)
    assert quote_of({}).selection == ()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"\xff\x54\x43\x47", b"\xff\x54\x43\x48", "magic number"),
        (b"\x80\x18", b"\x80\x17", "type"),  # a certification of a key
        (b"\0\0\0\1\0\x0b\3", b"\0\0\0\2\0\x0b\3", "PCR banks"),
        (b"\0\0\0\1\0\x0b\3", b"\0\0\0\1\0\x04\3", "SHA-256"),  # the bank of SHA-1
    ],
)
def test_what_else_a_tpm_signs_is_no_quote(old: bytes, new: bytes, why: str):
    data = quote_of(PCRS).to_bytes()
    assert data.count(old) == 1
    with pytest.raises(MalformedError, match=why):
        TpmQuote.parse(data.replace(old, new))


def test_a_register_beyond_the_24th_is_malformed():
    with pytest.raises(MalformedError, match="below 24"):
        TpmQuote.parse(replace(quote_of(PCRS), bitmap=b"\1\0\0\1").to_bytes())


def test_a_clock_that_json_cannot_spell_is_malformed():
    with pytest.raises(MalformedError, match="clock"):
        TpmQuote.parse(replace(quote_of(PCRS), clock=1 << 53).to_bytes())


def test_a_signature_with_sha1_is_malformed(tpm: SimulatedTpm):
    data = tpm.sign(b"x").to_bytes()
    assert TpmSignature.parse(data).hash_name == "sha256"
    with pytest.raises(MalformedError, match="SHA-256, SHA-384 or SHA-512"):
        TpmSignature.parse(data[:2] + b"\0\x04" + data[4:])


@pytest.mark.parametrize("size", [0, 4097])
def test_structures_of_no_size_or_too_great_a_size_are_malformed(size: int):
    for parse in (TpmQuote.parse, TpmSignature.parse):
        with pytest.raises(MalformedError):
            parse(bytes(size))


def test_a_weak_key_is_malformed():
    for tpm in (SimulatedTpm.rsa(bits=1024), SimulatedTpm.ecc(ec.SECP224R1)):
        with pytest.raises(MalformedError, match="expected an attestation key of RSA"):
            AttestationKey.parse(tpm.spki)


def test_evidence_reads_as_it_was_written(tpm: SimulatedTpm):
    shown = tpm.show(tpm.signed())
    assert TpmEvidence.parse(shown.quote).to_bytes() == shown.quote


def test_evidence_of_another_kind_is_malformed(tpm: SimulatedTpm):
    shown = tpm.show(tpm.signed())
    for quote in (b"", b"{}", b"[]", b" " + shown.quote, shown.quote.replace(b'"v":1', b'"v":2'), b"x" * 32769):
        with pytest.raises(MalformedError):
            tpm.verify(replace(shown, quote=quote))


@pytest.mark.parametrize(
    ("text", "tcti", "ak", "pcrs"),
    [
        ("", "device:/dev/tpmrm0", 0x81010002, DEFAULT_PCRS),
        ("device:/dev/tpm0?ak=0x81000003", "device:/dev/tpm0", 0x81000003, DEFAULT_PCRS),
        ("?pcrs=0-3,7,14", "device:/dev/tpmrm0", 0x81010002, (0, 1, 2, 3, 7, 14)),
        ("swtpm:host=127.0.0.1,port=2321?pcrs=23", "swtpm:host=127.0.0.1,port=2321", 0x81010002, (23,)),
    ],
)
def test_an_address_reads_as_documented(text: str, tcti: str, ak: int, pcrs: tuple[int, ...]):
    assert TpmAddress.parse(text) == TpmAddress(tcti=tcti, ak=ak, pcrs=pcrs)


@pytest.mark.parametrize(
    "text",
    [
        "cmd:sh -c id",  # a TCTI that runs a program
        "libtpms",
        "device:tpm0",
        "device:/dev/tpm0 -x",
        "swtpm:host=127.0.0.1,port=1\n",
        "?ak=0x40000001",
        "?ak=1",
        "?pcrs=",
        "?pcrs=24",
        "?pcrs=7-3",
        "?pcrs=0&pcrs=1",
        "?key=1",
        "?ak",
    ],
)
def test_another_address_is_refused(text: str):
    with pytest.raises(ConfigError):
        TpmAddress.parse(text)


def test_a_key_of_another_kind_than_the_signature_is_refused():
    rsa, ecc = SimulatedTpm.rsa(), SimulatedTpm.ecc()
    with pytest.raises(SignatureError, match="not one by ecdsa"):
        rsa.verify(rsa.show(ecc.signed()))
