"""What holds for every SNP report and certificate, and for every change of one."""

import contextlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_atlas.errors import MalformedError, MissingError, SignatureError
from airflow_provider_atlas.tee import der
from airflow_provider_atlas.tee.backends.sev_snp import SevSnpVerifier
from airflow_provider_atlas.tee.evidence import PEM_CERTIFICATE_CHAIN, PKIX_CRL, Endorsements
from airflow_provider_atlas.tee.pem import parse_pem, read_pem, to_pem
from airflow_provider_atlas.tee.sev_snp.certificate import AmdCertificate
from airflow_provider_atlas.tee.sev_snp.certificate_table import CertificateTable
from airflow_provider_atlas.tee.sev_snp.chain import SnpChain
from airflow_provider_atlas.tee.sev_snp.endorsement_key import EndorsementKey
from airflow_provider_atlas.tee.sev_snp.report import SnpReport
from airflow_provider_atlas.tee.sev_snp.revocation import RevocationList
from tests.support.simulated_snp import AT, evidence, real, vendor
from tests.unit.tee.test_tee_sev_snp import THEN

REAL = real("snp_milan")
REAL_CHAIN = REAL.endorsements[0].content


def octets(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


def numbers(size: int) -> st.SearchStrategy[int]:
    return st.integers(0, (1 << 8 * size) - 1)


def reports(version: int) -> st.SearchStrategy[SnpReport]:
    nothing = {name: st.just(0) for name in ("launch_mit_vector", "current_mit_vector")} if version < 5 else {}
    return st.builds(
        SnpReport,
        version=st.just(version),
        guest_svn=numbers(4),
        policy=numbers(8).map(lambda policy: policy | 1 << 17),
        family_id=octets(16),
        image_id=octets(16),
        vmpl=numbers(4),
        signature_algo=st.just(1),
        current_tcb=octets(8),
        platform_info=numbers(8),
        flags=numbers(4),
        report_data=octets(64),
        measurement=octets(48),
        host_data=octets(32),
        id_key_digest=octets(48),
        author_key_digest=octets(48),
        report_id=octets(32),
        report_id_ma=octets(32),
        reported_tcb=octets(8),
        cpuid=octets(3) if version >= 3 else st.just(bytes(3)),
        chip_id=octets(64),
        committed_tcb=octets(8),
        current_firmware=octets(3),
        committed_firmware=octets(3),
        launch_tcb=octets(8),
        **{"launch_mit_vector": numbers(8), "current_mit_vector": numbers(8), **nothing},
        signature_r=numbers(48),
        signature_s=numbers(48),
    )


@given(reports(2) | reports(3) | reports(5))
def test_every_report_reads_as_it_was_written(report: SnpReport):
    assert SnpReport.parse(report.to_bytes()) == report
    assert len(report.to_bytes()) == 1184
    assert report.signing_key in ("VCEK", "VLEK", "none", "unknown")


PARSERS = [
    SnpReport.parse,
    SnpChain.parse,
    AmdCertificate.parse,
    RevocationList.parse,
    CertificateTable.parse,
    parse_pem,
    read_pem,
    der.unsigned,
]


@pytest.mark.parametrize("parse", PARSERS)
@given(data=st.binary(max_size=2048) | octets(1184))
def test_any_bytes_are_read_or_malformed(parse, data: bytes):
    with contextlib.suppress(MalformedError, MissingError):
        parse(data)


edits = st.lists(st.tuples(st.integers(0, 1 << 14), st.integers(0, 255), st.integers(0, 2)), min_size=1, max_size=4)


def edited(data: bytes, changes: list[tuple[int, int, int]]) -> bytes:
    """Return ``data`` with each change made: another byte, one more, or one less."""
    damaged = bytearray(data)
    for at, value, kind in changes:
        index = at % len(damaged)
        damaged[index : index + (kind != 1)] = b"" if kind == 2 else bytes((value,))
    return bytes(damaged)


@given(edits, st.integers(0, 2))
def test_a_damaged_certificate_is_read_or_malformed(changes: list[tuple[int, int, int]], which: int):
    for chain in (REAL_CHAIN, vendor().authority.chain()):
        damaged = edited(parse_pem(chain)[which], changes)
        with contextlib.suppress(MalformedError, SignatureError):
            EndorsementKey.parse(AmdCertificate.parse(damaged))
        with contextlib.suppress(MalformedError, SignatureError):
            AmdCertificate.parse(damaged).check_ca()


@given(edits)
def test_a_damaged_revocation_list_is_read_or_malformed(changes: list[tuple[int, int, int]]):
    authority = vendor().authority
    damaged = edited(authority.revocation_list([authority.leaf.certificate]), changes)
    with contextlib.suppress(MalformedError, SignatureError):
        RevocationList.parse(damaged).check((), AmdCertificate.parse(authority.ark.der), AT)


@given(edits)
def test_a_damaged_report_has_one_spelling_or_is_malformed(changes: list[tuple[int, int, int]]):
    damaged = edited(REAL.quote, changes)
    with contextlib.suppress(MalformedError):
        assert SnpReport.parse(damaged).to_bytes() == damaged


@given(st.binary(max_size=300))
def test_every_der_value_reads_as_it_was_written(content: bytes):
    assert der.take(der.tlv(der.OCTET_STRING, content) + b"rest", der.OCTET_STRING) == (content, b"rest")


@given(st.integers(0, 1 << 200))
def test_every_der_integer_reads_as_it_was_written(value: int):
    assert der.unsigned(der.to_unsigned(value)) == value


@given(st.binary(max_size=70_000), st.sampled_from([der.INTEGER, der.SEQUENCE]))
def test_a_der_value_has_one_spelling(data: bytes, tag: int):
    with contextlib.suppress(MalformedError):
        content, rest = der.take(bytes((tag,)) + data, tag)
        assert der.tlv(tag, content) + rest == bytes((tag,)) + data


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_pem_reads_as_it_was_written(certificates: list[bytes]):
    assert parse_pem(to_pem(*certificates)) == read_pem(to_pem(*certificates)) == tuple(certificates)


blobs = st.none() | st.binary(min_size=1, max_size=200).filter(lambda blob: not blob.lstrip().startswith(b"-"))


@given(st.builds(CertificateTable, ark=blobs, ask=blobs, vcek=blobs, vlek=blobs))
def test_a_certificate_table_reads_as_it_was_written(table: CertificateTable):
    assert CertificateTable.parse(table.to_bytes()) == table


def refused(report: bytes, chain: bytes, crl: bytes | None, roots, at) -> bool:
    try:
        SevSnpVerifier().verify(evidence(report, chain, crl), development_roots=roots, at=at)
    except (MalformedError, MissingError, SignatureError):
        return True
    return False


def flips(data: bytes) -> list[bytes]:
    flipped = []
    for index in range(len(data)):
        changed = bytearray(data)
        changed[index] ^= 1 << index % 8
        flipped.append(bytes(changed))
    return flipped


# No byte is exempt: what is not signed, of the report and of its certificates, has one spelling.


def test_a_flipped_bit_anywhere_in_a_real_report_is_refused():
    assert not refused(REAL.quote, REAL_CHAIN, None, (), THEN)
    assert all(refused(one, REAL_CHAIN, None, (), THEN) for one in flips(REAL.quote))


@pytest.mark.parametrize("version", [2, 3, 5])
def test_a_flipped_bit_anywhere_in_a_simulated_report_is_refused(version: int):
    simulated = vendor(version=version)
    report, chain, roots = simulated.report(), simulated.authority.chain(), {simulated.root_sha256}
    assert not refused(report, chain, simulated.crl, roots, AT)
    assert all(refused(one, chain, simulated.crl, roots, AT) for one in flips(report))


def test_a_flipped_bit_in_a_real_chain_is_refused():
    chosen = random.Random(7).sample(flips(REAL_CHAIN), 600)
    assert all(refused(REAL.quote, one, None, (), THEN) for one in chosen)


def test_a_flipped_bit_anywhere_in_a_simulated_chain_or_list_is_refused():
    simulated = vendor()
    report, chain, roots = simulated.report(), simulated.authority.chain(), {simulated.root_sha256}
    assert all(refused(report, one, simulated.crl, roots, AT) for one in flips(chain))
    assert all(refused(report, chain, one, roots, AT) for one in flips(simulated.crl))


def test_endorsements_of_two_vendors_do_not_mix():
    # Whatever the order that they come in.
    ours, theirs = vendor(), vendor("Milan")
    shown = ours.guest()
    mixed = [
        Endorsements(media_type=PKIX_CRL, content=theirs.crl),
        Endorsements(media_type=PEM_CERTIFICATE_CHAIN, content=ours.authority.chain()),
    ]
    roots = {ours.root_sha256, theirs.root_sha256}
    for endorsements in (mixed, mixed[::-1]):
        verifier = SevSnpVerifier()
        with pytest.raises(SignatureError):
            verifier.claims(shown.quote, endorsements, development_roots=roots, at=AT)
