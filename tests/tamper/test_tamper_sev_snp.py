"""Attacks on SNP evidence, each by its name. One thing is wrong with each; everything else is genuine."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from airflow_provider_atlas.errors import MalformedError, MissingError, SignatureError
from airflow_provider_atlas.tee.backends.sev_snp import SevSnpVerifier
from airflow_provider_atlas.tee.evidence import Evidence
from airflow_provider_atlas.tee.pem import parse_pem, to_pem
from airflow_provider_atlas.tee.sev_snp.certificate import PSS, AmdCertificate
from airflow_provider_atlas.tee.sev_snp.endorsement_key import CSP_ID_OID, SVN_OIDS
from airflow_provider_atlas.tee.sev_snp.report import SNP_REPORT_SIZE, SnpReport
from airflow_provider_atlas.tee.sev_snp.simulation.authority import leaf_extensions
from airflow_provider_atlas.tee.sev_snp.simulation.guest import tcb_of
from airflow_provider_atlas.tee.sev_snp.simulation.platform import signed
from tests.support.simulated_snp import (
    AT,
    CLOUD,
    EXPIRES,
    ISSUED,
    REPORT_DATA,
    SnpVendor,
    certificate,
    evidence,
    vendor,
)

DEBUG, MIGRATE_MA, ALWAYS = 1 << 19, 1 << 18, 1 << 17


@pytest.fixture(scope="module")
def stranger() -> SnpVendor:
    return SnpVendor.create()


def test_nothing_is_wrong_with_what_the_attacks_start_from():
    assert vendor().verify(vendor().guest()).report_data == REPORT_DATA


# The root and what stands below it.


def test_a_foreign_root_is_refused(stranger: SnpVendor):
    with pytest.raises(SignatureError, match="accepted development root"):
        vendor().verify(stranger.guest())


def test_the_simulator_offered_to_a_policy_without_it_is_refused():
    with pytest.raises(SignatureError, match="expected AMD's root"):
        SevSnpVerifier().verify(vendor().guest(), development_roots=(), at=AT)


def test_a_root_with_the_accepted_ones_name_is_refused(stranger: SnpVendor):
    assert stranger.authority.ark.certificate.subject == vendor().authority.ark.certificate.subject
    forged = stranger.chain_with(ark=vendor().authority.ark.der)
    with pytest.raises(SignatureError, match=r"ARK-Genoa .* to have signed .*SEV-Genoa"):
        vendor().verify(evidence(stranger.report(), forged, vendor().crl))


def test_a_wrong_intermediate_is_refused(stranger: SnpVendor):
    forged = vendor().chain_with(ask=stranger.authority.ask.der)
    with pytest.raises(SignatureError, match="to have signed"):
        vendor().verify(evidence(vendor().report(), forged, vendor().crl))


def test_an_intermediate_of_another_name_is_refused():
    # It has the right key, so the signatures alone would not tell.
    authority = vendor().authority
    ask = certificate(
        "other", authority.ask.key, issuer=authority.ark.certificate.subject, issuer_key=authority.ark.key, ca=True
    )
    with pytest.raises(SignatureError, match="expected other to be the issuer that"):
        vendor().verify(evidence(vendor().report(), vendor().chain_with(ask=ask)))


def test_an_intermediate_that_is_no_authority_is_refused():
    root, key = vendor().authority.ark, rsa.generate_private_key(65537, 1024)
    name = "Simulated SEV-Genoa (NOT AMD)"
    ask = certificate(name, key, issuer=root.certificate.subject, issuer_key=root.key)
    own = x509.load_der_x509_certificate(ask).subject
    leaf = certificate(
        "SEV-VCEK",
        vendor().authority.leaf.key,
        issuer=own,
        issuer_key=key,
        extensions=leaf_extensions("Genoa", tcb_of("Genoa"), hwid=vendor().authority.chip_id, csp_id=None),
    )
    with pytest.raises(SignatureError, match="expected a certificate authority"):
        vendor().verify(evidence(vendor().report(), vendor().chain_with(leaf=leaf, ask=ask)))


def test_a_root_that_somebody_else_signed_is_refused(stranger: SnpVendor):
    # The key is the accepted one's, so that the pin of a vendor's key alone would not notice.
    authority = vendor().authority
    forged = certificate("any", authority.ark.key, issuer_key=stranger.authority.ark.key, ca=True)
    ask = certificate("ask", authority.ask.key, issuer=_subject(forged), issuer_key=authority.ark.key, ca=True)
    leaf = certificate(
        "leaf",
        authority.leaf.key,
        issuer=_subject(ask),
        issuer_key=authority.ask.key,
        extensions=leaf_extensions("Genoa", tcb_of("Genoa"), hwid=authority.chip_id, csp_id=None),
    )
    key = SevSnpVerifier({_key_sha256(forged): "Genoa"})
    with pytest.raises(SignatureError, match="expected any to have signed any"):
        key.verify(evidence(vendor().report(), to_pem(leaf, ask, forged)), development_roots=(), at=AT)


def test_an_intermediate_without_an_rsa_key_is_refused():
    # A platform's own key, which may have been extracted, certifies nothing.
    authority = vendor().authority
    issued = x509.load_der_x509_certificate(vendor().leaf())
    ask = certificate(
        "ask", authority.leaf.key, issuer=authority.ark.certificate.subject, issuer_key=authority.ark.key, ca=True
    )
    own = x509.Name([x509.NameAttribute(x509.OID_COMMON_NAME, "ask")])
    builder = (
        x509.CertificateBuilder(extensions=list(issued.extensions))
        .subject_name(issued.subject)
        .issuer_name(own)
        .public_key(issued.public_key())
        .serial_number(1)
        .not_valid_before(ISSUED)
        .not_valid_after(EXPIRES)
    )
    leaf = builder.sign(authority.leaf.key, hashes.SHA384()).public_bytes(Encoding.DER)
    with pytest.raises(MalformedError, match="RSASSA-PSS"):
        vendor().verify(evidence(vendor().report(), vendor().chain_with(leaf=leaf, ask=ask)))
    # And when it pretends that an RSA key signed.
    pretended = vendor().leaf(issuer=own)
    with pytest.raises(SignatureError, match="expected ask to have an RSA key"):
        vendor().verify(evidence(vendor().report(), vendor().chain_with(leaf=pretended, ask=ask)))


@pytest.mark.parametrize(
    ("weaker", "error"),
    [(padding.PKCS1v15(), MalformedError), (padding.PSS(padding.MGF1(hashes.SHA384()), 20), SignatureError)],
)
def test_a_signature_of_another_form_is_refused(weaker, error: type[Exception]):
    authority = vendor().authority
    leaf = certificate(
        "SEV-VCEK",
        authority.leaf.key,
        issuer=authority.ask.certificate.subject,
        issuer_key=authority.ask.key,
        extensions=leaf_extensions("Genoa", tcb_of("Genoa"), hwid=authority.chip_id, csp_id=None),
        padding=weaker,
    )
    with pytest.raises(error, match=r"to have signed SEV-VCEK|RSASSA-PSS"):
        vendor().verify(evidence(vendor().report(), vendor().chain_with(leaf=leaf)))


@pytest.mark.parametrize("after", [timedelta(seconds=1), timedelta(days=3650)])
def test_an_expired_key_is_refused(after: timedelta):
    assert vendor().verify(vendor().guest(), at=EXPIRES)
    with pytest.raises(SignatureError, match="to be valid at"):
        vendor().verify(vendor().guest(), at=EXPIRES + after)


def test_a_key_of_the_future_is_refused():
    assert vendor().verify(vendor().guest(), at=ISSUED)
    with pytest.raises(SignatureError, match="to be valid at"):
        vendor().verify(vendor().guest(), at=ISSUED - timedelta(seconds=1))


def test_an_expired_vlek_is_refused_though_all_above_it_is_valid():
    cloud = vendor(vlek=True)
    ended = AT - timedelta(seconds=1)
    with pytest.raises(SignatureError, match="expected SEV-VCEK to be valid at 2026-06-01"):
        cloud.verify(cloud.with_leaf(csp_id=CLOUD, expires=ended))


# The leaf: whose key it is.


def test_endorsement_key_substitution_is_refused():
    # The chain stays genuine, but it is of another key.
    evil = ec.generate_private_key(ec.SECP384R1())
    forged = signed(replace(SnpReport.parse(vendor().report()), measurement=b"\xee" * 48), evil)
    with pytest.raises(SignatureError, match="expected the VCEK to have signed"):
        vendor().verify(vendor().evidence(forged.to_bytes()))


def test_a_leaf_that_names_another_key_is_refused():
    evil = ec.generate_private_key(ec.SECP384R1())
    authority = vendor().authority
    forged = certificate(
        "SEV-VCEK",
        evil,
        issuer=authority.ask.certificate.subject,
        issuer_key=rsa.generate_private_key(65537, 1024),
        extensions=leaf_extensions("Genoa", tcb_of("Genoa"), hwid=authority.chip_id, csp_id=None),
    )
    report = signed(SnpReport.parse(vendor().report()), evil).to_bytes()
    with pytest.raises(SignatureError, match="to have signed SEV-VCEK"):
        vendor().verify(evidence(report, vendor().chain_with(leaf=forged)))


def test_a_report_with_another_chain_of_the_same_vendor_is_refused():
    leaf = vendor().leaf(key=ec.generate_private_key(ec.SECP384R1()))
    chain = to_pem(leaf, *parse_pem(vendor().authority.chain())[1:])
    with pytest.raises(SignatureError, match="expected the VCEK to have signed"):
        vendor().verify(evidence(vendor().report(), chain))


@pytest.mark.parametrize("field", ["report_data", "measurement", "host_data", "chip_id"])
def test_another_report_under_a_genuine_signature_is_refused(field: str):
    told = SnpReport.parse(vendor().report())
    forged = replace(told, **{field: b"\x55" * len(getattr(told, field))})
    with pytest.raises(SignatureError, match="expected the VCEK to have signed"):
        vendor().verify(vendor().evidence(forged.to_bytes()))


def test_a_signature_of_zeros_is_refused():
    # What firmware gives when it has no key: the flags then say so, and here they lie.
    forged = replace(SnpReport.parse(vendor().report()), signature_r=0, signature_s=0)
    with pytest.raises(SignatureError, match="expected the VCEK to have signed"):
        vendor().verify(vendor().evidence(forged.to_bytes()))


@pytest.mark.parametrize(("flags", "what"), [(7 << 2, "none"), (1 << 2, "VLEK"), (3 << 2, "unknown")])
def test_a_report_that_names_another_kind_of_key_is_refused(flags: int, what: str):
    with pytest.raises(SignatureError, match=f"that a VCEK signed, not {what}"):
        vendor().verify(vendor().guest(flags=flags))


def test_a_vlek_under_a_report_of_a_vcek_is_refused():
    cloud = vendor(vlek=True)
    with pytest.raises(SignatureError, match="that a VLEK signed, not VCEK"):
        cloud.verify(cloud.guest(flags=0))


def test_a_key_that_is_of_a_chip_and_of_a_cloud_is_refused():
    own = leaf_extensions("Genoa", tcb_of("Genoa"), hwid=vendor().authority.chip_id, csp_id=None)
    both = [*own, (CSP_ID_OID, b"\x16\x03abc")]
    with pytest.raises(MalformedError, match="of a VCEK, with a hwID, or of a VLEK"):
        vendor().verify(vendor().with_leaf(extensions=both))
    with pytest.raises(MalformedError, match="of a VCEK, with a hwID, or of a VLEK"):
        vendor().verify(vendor().with_leaf(extensions=own[:-1]))


def test_a_key_on_another_curve_is_refused():
    with pytest.raises(MalformedError, match="P-384"):
        vendor().verify(vendor().with_leaf(key=ec.generate_private_key(ec.SECP256R1())))


# The platform: which chip, at which TCB.


def test_another_chips_report_under_an_accepted_chips_key_is_refused():
    with pytest.raises(SignatureError, match="the VCEK of the chip"):
        vendor().verify(vendor().guest(chip_id=b"\1" * 64))


def test_a_chip_that_differs_in_what_turin_leaves_zero_is_refused():
    turin = vendor("Turin")
    chip = turin.authority.chip_id[:63] + b"\1"
    with pytest.raises(SignatureError, match="the VCEK of the chip"):
        turin.verify(turin.guest(chip_id=chip))


@pytest.mark.parametrize("product", ["Milan", "Turin"])
@pytest.mark.parametrize("byte", range(8))
def test_a_key_of_another_tcb_is_refused(product, byte: int):
    # Also in the components that are reserved: firmware derives the key from all eight bytes.
    simulated = vendor(product)
    tcb = bytearray(tcb_of(product))
    tcb[byte] += 1
    with pytest.raises(SignatureError, match="for the reported TCB"):
        simulated.verify(simulated.guest(reported_tcb=bytes(tcb)))


@pytest.mark.parametrize("name", ["bl", "spl5", "ucode"])
def test_a_key_that_leaves_out_a_tcb_component_is_refused(name: str):
    own = leaf_extensions("Genoa", tcb_of("Genoa"), hwid=vendor().authority.chip_id, csp_id=None)
    with pytest.raises(MalformedError, match=f"to have the TCB component {name}"):
        vendor().verify(vendor().with_leaf(extensions=[one for one in own if one[0] != SVN_OIDS[name]]))


@pytest.mark.parametrize("cpuid", [b"\x19\x01\x01", b"\x1a\x02\x01", b"\x17\x31\x00", bytes(3)])
def test_a_report_of_another_product_is_refused(cpuid: bytes):
    with pytest.raises(SignatureError, match="expected a report of Genoa"):
        vendor().verify(vendor().guest(cpuid=cpuid))


# The guest.


@pytest.mark.parametrize(
    ("policy", "why"), [(DEBUG, "host cannot debug"), (MIGRATE_MA, "cannot migrate"), (DEBUG | MIGRATE_MA, "debug")]
)
def test_a_guest_that_is_open_to_its_host_is_refused(policy: int, why: str):
    with pytest.raises(SignatureError, match=why):
        vendor().verify(vendor().guest(policy=ALWAYS | policy))


@pytest.mark.parametrize("vmpl", [4, 0xFFFFFFFF])
def test_a_report_that_the_host_asked_for_is_refused(vmpl: int):
    with pytest.raises(SignatureError, match="a guest asked for"):
        vendor().verify(vendor().guest(vmpl=vmpl))


def test_a_policy_without_its_fixed_bit_is_refused():
    with pytest.raises(MalformedError, match="bit 17"):
        vendor().verify(vendor().guest(policy=1 << 16))


def test_a_replayed_report_still_says_what_it_was_made_for():
    # Nothing here can tell the first showing from the second. Whoever asks compares the report data.
    earlier = vendor().guest(report_data=b"\7" * 64)
    assert vendor().verify(earlier).report_data == b"\7" * 64 != REPORT_DATA


# The bytes.


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 2816, b"more"])
def test_trailing_bytes_are_refused(tail: bytes):
    with pytest.raises(MalformedError, match="1184 bytes, not"):
        vendor().verify(vendor().evidence(vendor().report() + tail))


def test_a_report_truncated_at_each_length_is_refused():
    report = vendor().report()
    for size in range(SNP_REPORT_SIZE):
        with pytest.raises(MalformedError, match=f"1184 bytes, not {size}"):
            vendor().verify(vendor().evidence(report[:size]))


@pytest.mark.parametrize("at", [0x2D0, 0x2E7, 0x318, 0x330, 0x49F])
def test_bytes_that_nobody_signed_carry_nothing(at: int):
    report = bytearray(vendor().report())
    report[at] = 1
    with pytest.raises(MalformedError, match="nothing to say"):
        vendor().verify(vendor().evidence(bytes(report)))


@pytest.mark.parametrize("version", [0, 1, 4, 6, 0xFFFFFFFF])
def test_a_version_that_nobody_issued_is_refused(version: int):
    with pytest.raises(MalformedError, match="version 2, 3 or 5"):
        vendor().verify(vendor().guest(version=version))


def test_another_signature_algorithm_is_refused():
    with pytest.raises(MalformedError, match="signature algorithm 1"):
        vendor().verify(vendor().guest(signature_algo=2))


# Revocation.


@pytest.mark.parametrize("name", ["leaf", "ask"])
def test_a_revoked_certificate_is_refused(name: str):
    authority = vendor().authority
    crl = authority.revocation_list([getattr(authority, name).certificate])
    with pytest.raises(SignatureError, match="is not revoked, and"):
        vendor().verify(evidence(vendor().report(), authority.chain(), crl))


def test_a_revocation_list_by_another_root_is_refused(stranger: SnpVendor):
    with pytest.raises(SignatureError, match="to have signed the revocation list"):
        vendor().verify(evidence(vendor().report(), vendor().authority.chain(), stranger.crl))


def test_a_revocation_list_of_another_product_is_refused():
    with pytest.raises(SignatureError, match=r"expected a revocation list of .*ARK-Genoa"):
        vendor().verify(evidence(vendor().report(), vendor().authority.chain(), vendor("Milan").crl))


def test_a_revocation_list_with_an_entry_cut_out_is_refused():
    authority = vendor().authority
    listed = authority.revocation_list([authority.leaf.certificate])
    clean = authority.revocation_list()
    forged = x509.load_der_x509_crl(clean).tbs_certlist_bytes
    signature = x509.load_der_x509_crl(listed).signature
    swapped = clean.replace(x509.load_der_x509_crl(clean).signature, signature)
    assert forged in swapped
    with pytest.raises(SignatureError, match="to have signed the revocation list"):
        vendor().verify(evidence(vendor().report(), authority.chain(), swapped))


def _list(*, last, following, critical: bool = False) -> bytes:
    authority = vendor().authority
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.ark.certificate.subject)
        .last_update(last)
        .next_update(following)
    )
    if critical:
        builder = builder.add_extension(x509.DeltaCRLIndicator(1), critical=True)
    return builder.sign(authority.ark.key, hashes.SHA384(), rsa_padding=PSS).public_bytes(Encoding.DER)


def test_an_expired_revocation_list_is_refused():
    crl = _list(last=ISSUED, following=AT - timedelta(seconds=1))
    with pytest.raises(SignatureError, match="current at 2026-06-01"):
        vendor().verify(evidence(vendor().report(), vendor().authority.chain(), crl))


def test_a_revocation_list_of_the_future_is_refused():
    crl = _list(last=AT + timedelta(seconds=1), following=EXPIRES)
    with pytest.raises(SignatureError, match="current at 2026-06-01"):
        vendor().verify(evidence(vendor().report(), vendor().authority.chain(), crl))


def test_a_part_of_a_revocation_list_is_refused():
    crl = _list(last=ISSUED, following=EXPIRES, critical=True)
    with pytest.raises(MalformedError, match="that is whole"):
        vendor().verify(evidence(vendor().report(), vendor().authority.chain(), crl))


def test_without_the_key_service_there_is_no_answer():
    # The bytes are genuine; but who would know? An unreachable KDS must never become a pass.
    with pytest.raises(MissingError):
        vendor().verify(evidence(vendor().report(), None))


# The reason, as a report gives it (docs/format.md §8.2).


def test_each_refusal_has_its_code(stranger: SnpVendor):
    genuine, authority = vendor(), vendor().authority
    late, early = AT - timedelta(seconds=1), AT + timedelta(seconds=1)

    def code(shown: Evidence, at: datetime = AT) -> str:
        with pytest.raises(SignatureError) as refused:
            genuine.verify(shown, at)
        return refused.value.code

    def listed(crl: bytes) -> Evidence:
        return evidence(genuine.report(), authority.chain(), crl)

    assert code(stranger.guest()) == "root-not-trusted"
    assert code(genuine.with_leaf(key=ec.generate_private_key(ec.SECP384R1()))) == "signature"
    assert code(evidence(genuine.report(), genuine.chain_with(ask=stranger.authority.ask.der))) == "signature"
    assert code(genuine.guest(), EXPIRES + timedelta(days=1)) == "expired"
    assert code(genuine.guest(), ISSUED - timedelta(days=1)) == "not-yet-valid"
    assert code(listed(_list(last=ISSUED, following=late))) == "expired"
    assert code(listed(_list(last=early, following=EXPIRES))) == "not-yet-valid"
    assert code(listed(authority.revocation_list([authority.leaf.certificate]))) == "revoked"
    assert code(genuine.guest(chip_id=b"\1" * 64)) == "collateral-of-another-platform"
    assert code(genuine.guest(reported_tcb=bytes(8))) == "collateral-of-another-platform"
    assert code(genuine.guest(policy=ALWAYS | DEBUG)) == "debug"
    assert code(genuine.guest(policy=ALWAYS | MIGRATE_MA)) == "migratable"


def _subject(der: bytes) -> x509.Name:
    return x509.load_der_x509_certificate(der).subject


def _key_sha256(der: bytes) -> str:
    return AmdCertificate.parse(der).key_sha256
