"""Attacks on TDX evidence, each by its name. One thing is wrong with each; everything else is genuine."""

import json
from dataclasses import replace
from datetime import timedelta

import dcap_qvl
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_atlas.errors import MalformedError, MissingError, SignatureError
from airflow_provider_atlas.tee.backends.dcap import DcapVerifier
from airflow_provider_atlas.tee.tdx.certification import to_pem
from airflow_provider_atlas.tee.tdx.quote import TdxQuote
from airflow_provider_atlas.tee.tdx.report import Td15, Td15Extended
from airflow_provider_atlas.tee.tdx.simulation.guest import GUEST
from airflow_provider_atlas.tee.tdx.simulation.p256 import raw_public_key, raw_signature
from tests.support.simulated_tdx import AT, EXPIRES, ISSUED, REPORT_DATA, Vendor, evidence, report_of

DEBUG = 1 << 0
SEPT_VE_DISABLE = 1 << 28
MIGRATABLE = 1 << 29


@pytest.fixture(scope="module")
def vendor() -> Vendor:
    return Vendor.create()


@pytest.fixture(scope="module")
def stranger() -> Vendor:
    return Vendor.create()


def quote_of(vendor: Vendor) -> TdxQuote:
    return TdxQuote.parse(vendor.guest().quote)


def test_nothing_is_wrong_with_what_the_attacks_start_from(vendor: Vendor):
    assert vendor.verify(vendor.guest()).report_data == REPORT_DATA


def test_attestation_key_substitution_is_refused(vendor: Vendor):
    # The certification stays genuine, but it is of another key. Two published libraries accept this quote.
    evil = ec.generate_private_key(ec.SECP256R1())
    forged = replace(quote_of(vendor), report=replace(GUEST, mrtd=b"\xee" * 48), attestation_key=raw_public_key(evil))
    forged = replace(forged, signature=raw_signature(evil, forged.signed_bytes()))
    with pytest.raises(SignatureError, match="QE report hash mismatch"):
        vendor.verify(vendor.evidence(forged.to_bytes()))


def test_another_report_under_a_genuine_signature_is_refused(vendor: Vendor):
    forged = replace(quote_of(vendor), report=replace(GUEST, report_data=bytes(64)))
    with pytest.raises(SignatureError, match="signature is invalid"):
        vendor.verify(vendor.evidence(forged.to_bytes()))


def test_a_foreign_root_is_refused(vendor: Vendor, stranger: Vendor):
    with pytest.raises(SignatureError, match="accepted development root"):
        vendor.verify(stranger.guest())


def test_an_accepted_root_in_a_foreign_chain_is_refused(vendor: Vendor, stranger: Vendor):
    # The quote names the accepted root, which never signed the CA before it.
    quote = quote_of(stranger)
    chain = replace(quote.certification.chain, root=vendor.authority.root.der)
    forged = replace(quote, certification=replace(quote.certification, chain=chain))
    with pytest.raises(SignatureError, match="InvalidSignatureForPublicKey"):
        vendor.verify(vendor.evidence(forged.to_bytes()))


def test_collateral_under_a_foreign_root_is_refused(vendor: Vendor, stranger: Vendor):
    with pytest.raises(SignatureError):
        vendor.verify(evidence(vendor.guest().quote, stranger.collateral))


def test_the_simulator_offered_to_a_policy_without_it_is_refused(vendor: Vendor):
    with pytest.raises(SignatureError, match="expected Intel's root"):
        DcapVerifier().verify(vendor.guest(), development_roots=(), at=AT)


def test_a_chain_in_the_collateral_does_not_stand_in_for_the_quotes_own(vendor: Vendor, stranger: Vendor):
    # dcap-qvl lets it. A broken chain inside the quote must be refused all the same.
    genuine = quote_of(vendor)
    own = genuine.certification.chain.to_bytes().decode().removesuffix("\0")
    broken = replace(genuine.certification.chain, pck=stranger.authority.pck.der)
    forged = replace(genuine, certification=replace(genuine.certification, chain=broken)).to_bytes()
    helped = vendor.collateral_with(pck_certificate_chain=own)
    readable = dcap_qvl.QuoteCollateralV3.from_json(helped.decode())
    root = vendor.authority.root.der
    assert dcap_qvl.verify_with_root_ca(forged, readable, root, int(AT.timestamp())).status == "UpToDate"
    with pytest.raises(SignatureError, match="InvalidSignatureForPublicKey"):
        vendor.verify(evidence(forged, helped))


@pytest.mark.parametrize("document", ["tcb_info", "qe_identity"])
def test_tcb_levels_signed_by_a_platforms_own_key_are_refused(vendor: Vendor, document: str):
    # dcap-qvl takes any key under the root for a TCB signing key, and PCK keys have been extracted from silicon.
    authority = vendor.authority
    text = json.loads(vendor.collateral)[document].replace('"tcbEvaluationDataNumber":1', '"tcbEvaluationDataNumber":9')
    forged = vendor.collateral_with(
        **{
            document: text,
            f"{document}_signature": raw_signature(authority.pck.key, text.encode()).hex(),
            f"{document}_issuer_chain": to_pem(authority.pck.der, authority.ca.der, authority.root.der).decode(),
        }
    )
    readable = dcap_qvl.QuoteCollateralV3.from_json(forged.decode())
    shown = evidence(vendor.guest().quote, forged)
    assert dcap_qvl.verify_with_root_ca(shown.quote, readable, authority.root.der, int(AT.timestamp())).status
    with pytest.raises(SignatureError, match="'SGX TCB Signing' certificate"):
        vendor.verify(shown)


@pytest.mark.parametrize(
    ("document", "old", "new"),
    [
        ("tcb_info", '"OutOfDate"', '"UpToDate"'),
        ("tcb_info", '"svn":3', '"svn":0'),
        ("tcb_info", '"nextUpdate":"2027', '"nextUpdate":"2097'),
        ("qe_identity", '"isvsvn":6', '"isvsvn":0'),
    ],
)
def test_tampered_collateral_is_refused(vendor: Vendor, document: str, old: str, new: str):
    text = json.loads(vendor.collateral)[document]
    assert old in text
    with pytest.raises(SignatureError, match=f"Signature is invalid for {document}"):
        vendor.verify(evidence(vendor.guest().quote, vendor.collateral_with(**{document: text.replace(old, new)})))


def test_missing_collateral_is_no_answer(vendor: Vendor):
    with pytest.raises(MissingError):
        vendor.verify(evidence(vendor.guest().quote))


def test_expired_collateral_is_refused(vendor: Vendor):
    assert vendor.verify(vendor.guest(), at=EXPIRES - timedelta(seconds=1))
    with pytest.raises(SignatureError, match="CrlExpired"):
        vendor.verify(vendor.guest(), at=EXPIRES)


def test_collateral_of_the_future_is_refused(vendor: Vendor):
    assert vendor.verify(vendor.guest(), at=ISSUED)
    with pytest.raises(SignatureError, match=r"NotValidYet|future"):
        vendor.verify(vendor.guest(), at=ISSUED - timedelta(seconds=1))


@pytest.mark.parametrize("name", ["pck", "ca", "tcb"])
def test_a_revoked_certificate_is_refused(name: str):
    vendor = Vendor.create(revoked=name)
    with pytest.raises(SignatureError, match="Revoked"):
        vendor.verify(vendor.guest())


def test_a_clean_revocation_list_under_another_key_is_refused(stranger: Vendor):
    clean = json.loads(stranger.collateral)["pck_crl"]
    revoked = Vendor.create(revoked="pck")
    with pytest.raises(SignatureError):
        revoked.verify(evidence(revoked.guest().quote, revoked.collateral_with(pck_crl=clean)))


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        (SEPT_VE_DISABLE | DEBUG, "host cannot debug"),
        (SEPT_VE_DISABLE | MIGRATABLE, "cannot migrate"),
        (SEPT_VE_DISABLE | 1 << 4, "profiling"),
        (0, "SEPT_VE_DISABLE"),
    ],
    ids=["debug", "migratable", "profiled", "exceptions-to-the-host"],
)
def test_a_guest_that_is_open_to_its_host_is_refused(vendor: Vendor, attributes: int, why: str):
    shown = vendor.guest(td_attributes=attributes.to_bytes(8, "little"))
    assert report_of(shown).debug == bool(attributes & DEBUG)
    assert report_of(shown).migratable == bool(attributes & MIGRATABLE)
    with pytest.raises(SignatureError, match=why):
        vendor.verify(shown)


@pytest.mark.parametrize("name", ["mrservicetd", "init_service_td_hash", "cur_service_td_hash"])
def test_a_guest_with_a_service_guest_that_could_migrate_it_is_refused(vendor: Vendor, name: str):
    fields = {each: bytes(48) for each in ("init_service_td_hash", "cur_service_td_hash")}
    extended = Td15Extended(
        vmid=b"\0",
        td_id=b"\7" * 32,
        dev_info=bytes(48),
        init_service_td_attributes=bytes(8),
        init_cpu_svn=bytes(16),
        init_tee_tcb_svn=bytes(16),
        init_tee_fmspc=bytes(12),
        cur_service_td_attributes=bytes(8),
        **{**fields, **({name: b"\1" * 48} if name in fields else {})},
    )
    bound = b"\1" * 48 if name == "mrservicetd" else bytes(48)
    td15 = Td15(tee_tcb_svn2=GUEST.tee_tcb_svn, mrservicetd=bound, extended=extended)
    newer = replace(vendor.platform, pattern=replace(vendor.platform.pattern, version=5))
    quote = newer.quote(replace(GUEST, report_data=REPORT_DATA, td15=td15)).to_bytes()
    with pytest.raises(SignatureError, match="service guest"):
        vendor.verify(vendor.evidence(quote))


def test_another_seam_signer_is_refused(vendor: Vendor):
    with pytest.raises(SignatureError, match="MRSIGNER mismatch"):
        vendor.verify(vendor.guest(mrsignerseam=b"\1" * 48))


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 70, b"\nextra bytes"])
def test_trailing_bytes_are_refused(vendor: Vendor, tail: bytes):
    # dcap-qvl ignores them: a thousand files would be the same quote.
    with pytest.raises(MalformedError, match="bytes, not"):
        vendor.verify(vendor.evidence(vendor.guest().quote + tail))


@pytest.mark.parametrize("size", [0, 48, 632, 636, 770, 4000, -1])
def test_a_truncated_quote_is_refused(vendor: Vendor, size: int):
    with pytest.raises(MalformedError):
        vendor.verify(vendor.evidence(vendor.guest().quote[:size]))


def test_a_changed_issuer_of_the_revocation_list_is_refused(vendor: Vendor, stranger: Vendor):
    # dcap-qvl never reads this member of the collateral, so that it alone would let any byte of it change.
    genuine = vendor.guest()
    document = json.loads(genuine.endorsements[0].content)
    document["pck_crl_issuer_chain"] = json.loads(stranger.guest().endorsements[0].content)["pck_crl_issuer_chain"]
    swapped = replace(genuine.endorsements[0], content=json.dumps(document).encode())
    with pytest.raises(SignatureError, match="the issuers that the quote's own certificates name"):
        vendor.verify(replace(genuine, endorsements=(swapped,)))
