"""The certificates of SNP platforms: AMD's own, in all the shapes that it issues them in."""

import warnings

import pytest
from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from airflow_provider_atlas.errors import MalformedError, SignatureError
from airflow_provider_atlas.tee import der
from airflow_provider_atlas.tee.pem import parse_pem, read_pem, to_pem
from airflow_provider_atlas.tee.sev_snp.amd import AMD_ROOT_KEYS
from airflow_provider_atlas.tee.sev_snp.certificate import AmdCertificate
from airflow_provider_atlas.tee.sev_snp.chain import SnpChain
from airflow_provider_atlas.tee.sev_snp.endorsement_key import CSP_ID_OID, PRODUCT_OID, SVN_OIDS, EndorsementKey
from airflow_provider_atlas.tee.sev_snp.revocation import RevocationList
from airflow_provider_atlas.tee.sev_snp.simulation.authority import leaf_extensions
from airflow_provider_atlas.tee.sev_snp.simulation.guest import tcb_of
from tests.support.simulated_snp import VECTORS, vendor


def chain_of(name: str) -> SnpChain:
    return SnpChain.parse((VECTORS / f"{name}.pem").read_bytes())


@pytest.mark.parametrize(
    ("name", "product"),
    [("snp_milan", "Milan"), ("snp_milan_debug", "Milan"), ("snp_azure_other_chip", "Milan"), ("snp_turin", "Turin")],
)
def test_a_real_chain_leads_to_the_pinned_root_of_its_product(name: str, product: str):
    chain = chain_of(name)
    chain.check_signatures()
    assert AMD_ROOT_KEYS[chain.ark.key_sha256] == chain.leaf.product == product
    assert chain.to_bytes() == (VECTORS / f"{name}.pem").read_bytes()
    assert (chain.leaf.certificate.name, chain.leaf.kind) == ("SEV-VCEK", "VCEK")


@pytest.mark.parametrize("name", ["genoa", "milan_vlek", "genoa_vlek", "turin_vlek"])
def test_real_issuers_lead_to_the_pinned_root_of_their_product(name: str):
    ask, ark = map(AmdCertificate.parse, parse_pem((VECTORS / f"snp_{name}_issuers.pem").read_bytes()))
    ask.check_issuer(ark)
    ark.check_issuer(ark)
    for authority in (ask, ark):
        authority.check_ca()
    assert AMD_ROOT_KEYS[ark.key_sha256].lower() == name.partition("_")[0]


def test_the_real_vcek_of_a_turin_has_eight_bytes_and_an_fmc():
    leaf = chain_of("snp_turin").leaf
    assert leaf.chip_id == bytes.fromhex("1e550a8ee5cf9f4d") + bytes(56)
    assert leaf.tcb == bytes((0, 0, 0, 0, 0, 0, 0, 9))
    assert leaf.csp_id is None


def test_the_serial_number_zero_is_read_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        leaf = chain_of("snp_milan").leaf.certificate
    assert (leaf.serial, leaf.parsed.serial_number) == (0, 1)
    with pytest.warns(CryptographyDeprecationWarning, match="positive"):
        theirs = x509.load_der_x509_certificate(leaf.der)
    assert theirs.tbs_certificate_bytes == leaf.signed
    assert theirs.signature == leaf.parsed.signature
    assert list(theirs.extensions) == list(leaf.parsed.extensions)


def test_another_serial_number_is_read_as_it_is():
    authority = vendor().authority
    assert AmdCertificate.parse(authority.leaf.der).serial == authority.leaf.certificate.serial_number


def test_any_other_byte_of_a_certificate_is_vouched_for():
    # The part that is not signed names the algorithm again, and has one spelling.
    chain = chain_of("snp_milan")
    for certificate in (chain.leaf.certificate, chain.ask):
        issuer = chain.ask if certificate is chain.leaf.certificate else chain.ark
        for index in range(len(certificate.der)):
            flipped = bytearray(certificate.der)
            flipped[index] ^= 1 << index % 8
            with pytest.raises((MalformedError, SignatureError)):
                AmdCertificate.parse(bytes(flipped)).check_issuer(issuer)


def test_a_signature_that_ends_within_a_byte_is_a_second_spelling():
    # Its last bit is zero, so that one bit less would be the same signature to a reader that fills up.
    leaf = next(one for one in iter(vendor().leaf, b"") if one[-1] % 2 == 0)
    signature = len(AmdCertificate.parse(leaf).parsed.signature)
    assert leaf[-signature - 1] == 0
    shorter = leaf[: -signature - 1] + b"\1" + leaf[-signature:]
    with pytest.raises(MalformedError, match="whole bytes"):
        AmdCertificate.parse(shorter)


def test_any_byte_of_a_revocation_list_is_vouched_for():
    authority = vendor().authority
    data = authority.revocation_list([authority.leaf.certificate])
    ark = AmdCertificate.parse(authority.ark.der)
    at = authority.issued
    RevocationList.parse(data).check((), ark, at)
    for index in range(len(data)):
        flipped = bytearray(data)
        flipped[index] ^= 1 << index % 8
        with pytest.raises((MalformedError, SignatureError)):
            RevocationList.parse(bytes(flipped)).check((), ark, at)


@pytest.mark.parametrize("size", [8193, 1 << 20])
def test_a_certificate_has_a_size(size: int):
    with pytest.raises(MalformedError, match="at most 8192 bytes"):
        AmdCertificate.parse(bytes(size))


def test_a_chain_has_a_size():
    with pytest.raises(MalformedError, match="at most 32768 bytes"):
        SnpChain.parse(bytes(32769))


def test_a_revocation_list_has_a_size():
    with pytest.raises(MalformedError, match="at most 1048576 bytes"):
        RevocationList.parse(bytes((1 << 20) + 1))


def test_a_list_that_never_expires_is_refused():
    authority = vendor().authority
    data = authority.revocation_list()
    assert x509.load_der_x509_crl(data).next_update_utc
    content, rest = der.take(der.whole(data, der.SEQUENCE), der.SEQUENCE)
    update = der.tlv(0x17, authority.expires.strftime("%y%m%d%H%M%SZ").encode())
    assert update in content
    forged = der.tlv(der.SEQUENCE, der.tlv(der.SEQUENCE, content.replace(update, b"")) + rest)
    with pytest.raises(MalformedError, match="says when it expires"):
        RevocationList.parse(forged)


def leaf_with(oid: str, value: bytes) -> EndorsementKey:
    own = leaf_extensions("Genoa", tcb_of("Genoa"), hwid=vendor().authority.chip_id, csp_id=None)
    changed = [(name, value if name == oid else content) for name, content in own]
    return EndorsementKey.parse(AmdCertificate.parse(vendor().leaf(extensions=changed)))


@pytest.mark.parametrize(
    ("name", "product"), [("Milan-B0", "Milan"), ("Milan", "Milan"), ("Genoa-B1", "Genoa"), ("Genoa", "Genoa")]
)
def test_a_product_is_named_with_its_stepping_or_without(name: str, product: str):
    assert leaf_with(PRODUCT_OID, der.tlv(der.IA5_STRING, name.encode())).product == product


@pytest.mark.parametrize("name", [b"", b"Venice", b"milan", b"MilanX", b"\xff"])
def test_a_product_that_is_not_known_is_refused(name: bytes):
    with pytest.raises(MalformedError):
        leaf_with(PRODUCT_OID, der.tlv(der.IA5_STRING, name))


def test_a_cloud_is_named_in_ascii():
    own = leaf_extensions("Genoa", tcb_of("Genoa"), hwid=b"", csp_id="cloud")
    changed = [(oid, der.tlv(der.IA5_STRING, b"clo\xfcd") if oid == CSP_ID_OID else value) for oid, value in own]
    with pytest.raises(MalformedError, match="expected ASCII"):
        EndorsementKey.parse(AmdCertificate.parse(vendor().leaf(extensions=changed)))


@pytest.mark.parametrize(("svn", "octets"), [(127, "02017f"), (128, "02020080"), (255, "020200ff")])
def test_a_security_version_is_a_der_integer(svn: int, octets: str):
    assert leaf_with(SVN_OIDS["ucode"], bytes.fromhex(octets)).tcb[7] == svn


@pytest.mark.parametrize("octets", ["", "02", "0200", "020180", "02020001", "02020100", "040101", "02010100"])
def test_a_security_version_in_another_spelling_is_refused(octets: str):
    with pytest.raises(MalformedError):
        leaf_with(SVN_OIDS["ucode"], bytes.fromhex(octets))


@pytest.mark.parametrize("size", [0, 7, 9, 10, 63, 65, 66])
def test_a_chip_of_another_size_is_refused(size: int):
    with pytest.raises(MalformedError):
        leaf_with("1.3.6.1.4.1.3704.1.4", b"\7" * size)


def test_certificates_are_read_in_whatever_spelling_of_pem():
    first, second = b"\1" * 100, b"\2" * 50
    text = to_pem(first, second)
    for spelled in (text, text.replace(b"\n", b"\r\n"), b"subject=any\n" + text + b"\n\n", text.replace(b"A\n", b"A")):
        assert read_pem(spelled) == (first, second)
    assert read_pem(b"none") == ()


@pytest.mark.parametrize("body", [b"AA", b"A===", b"AB=="])
def test_what_is_no_base64_is_malformed(body: bytes):
    with pytest.raises(MalformedError):
        read_pem(b"-----BEGIN CERTIFICATE-----\n" + body + b"\n-----END CERTIFICATE-----\n")
