"""Another verifier, which shares no code with ours, says the same of TDX quotes: ``voltage-verify``, pure Python.

It reads version 4 alone, and leaves an OutOfDate platform, like a debug guest, to its caller; so do the comparisons.
"""

import base64
import random
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from voltage_verify import pcs, tdx

from airflow_provider_atlas.encoding import sha256_hex
from airflow_provider_atlas.errors import AtlasError
from airflow_provider_atlas.tee.backends.dcap import DcapVerifier
from airflow_provider_atlas.tee.tdx.collateral import Collateral
from airflow_provider_atlas.tee.tdx.quote import TdxQuote, trim
from tests.support.simulated_tdx import AT, Vendor, evidence

VECTORS = Path(__file__).parents[2] / "vectors" / "tee"
FLIPS = 200


@dataclass(frozen=True, kw_only=True)
class Case:
    """A quote with its collateral, the root both must lead to, the moment, and what is to be said of it then."""

    quote: bytes
    collateral: bytes
    root: bytes
    at: datetime
    status: str


def simulated(status: str, **vendor: object) -> Case:
    made = Vendor.create(**vendor)  # type: ignore[arg-type]
    quote = made.guest().quote
    return Case(quote=quote, collateral=made.collateral, root=made.authority.root.der, at=AT, status=status)


def real(name: str, at: str, status: str) -> Case:
    quote = trim((VECTORS / f"{name}.quote").read_bytes())
    root = TdxQuote.parse(quote).certification.chain.root
    collateral = (VECTORS / f"{name}.collateral.json").read_bytes()
    return Case(quote=quote, collateral=collateral, root=root, at=datetime.fromisoformat(at), status=status)


CASES = {
    "real": real("tdx_v4_padded", "2025-06-19T10:32:28+00:00", "UpToDate"),
    "real, out of date": real("tdx_v4_out_of_date", "2025-02-13T09:00:00+00:00", "OutOfDate"),
    "real, too late": real("tdx_v4_padded", "2026-06-19T10:32:28+00:00", "refused"),
    "simulated": simulated("UpToDate"),
    "simulated, out of date": simulated("OutOfDate", cpu_svn=(2,) * 16),
    "simulated, PCK revoked": simulated("refused", revoked="pck"),
    "simulated, CA revoked": simulated("refused", revoked="ca"),
}


def ours(case: Case) -> str:
    roots = {sha256_hex(case.root)}
    try:
        shown = evidence(case.quote, case.collateral)
        return str(DcapVerifier().verify(shown, development_roots=roots, at=case.at).tcb_status)
    except AtlasError:
        return "refused"


def theirs(case: Case) -> str:
    root = x509.load_der_x509_certificate(case.root)
    try:
        quote = tdx.parse_quote(case.quote)
        tdx.verify_signatures(quote, trusted_root=root, at=case.at)
        collateral = their_collateral(Collateral.parse(case.collateral))
        for document in (collateral.tcb_info, collateral.qe_identity):
            pcs.verify_document(document, trusted_root=root, at=case.at)
        pcs.check_revocation(quote, collateral, at=case.at)
        told = pcs.evaluate(quote, tdx.pck_info(quote.pck_leaf), collateral, at=case.at)
    except Exception:  # noqa: BLE001 - what it raises of hostile bytes is its own business
        return "refused"
    return "refused" if told.tcb_info_expired or told.qe_identity_expired else str(told.status)


def their_collateral(collateral: Collateral) -> pcs.Collateral:
    def document(kind: str, member: str, text: str, signature: str, chain: str) -> pcs.SignedDocument:
        body = f'{{"{member}":{text},"signature":"{signature}"}}'
        return pcs.SignedDocument(kind=kind, body=body, issuer_chain_pem=chain)

    crl = x509.load_der_x509_crl(bytes.fromhex(collateral.pck_crl))
    return pcs.Collateral(
        tcb_info=document(
            "tcb_info", "tcbInfo", collateral.tcb_info, collateral.tcb_info_signature, collateral.tcb_info_issuer_chain
        ),
        qe_identity=document(
            "qe_identity",
            "enclaveIdentity",
            collateral.qe_identity,
            collateral.qe_identity_signature,
            collateral.qe_identity_issuer_chain,
        ),
        pck_crl_pem=crl.public_bytes(Encoding.PEM).decode("ascii"),
        root_crl_der_b64=base64.b64encode(bytes.fromhex(collateral.root_ca_crl)).decode("ascii"),
        fetched_at="2026-01-01T00:00:00+00:00",
    )


@pytest.mark.parametrize("name", CASES)
def test_both_verifiers_come_to_one_verdict(name: str):
    case = CASES[name]
    assert (ours(case), theirs(case)) == (case.status, case.status)


@pytest.mark.parametrize("name", ["real", "simulated"])
def test_a_bit_that_one_verifier_minds_the_other_minds_too(name: str):
    case, chance = CASES[name], random.Random(name)
    for _ in range(FLIPS):
        quote = bytearray(case.quote)
        quote[chance.randrange(len(quote))] ^= 1 << chance.randrange(8)
        changed = replace(case, quote=bytes(quote))
        assert ours(changed) == "refused"
        # Theirs reads PEM as OpenSSL does, so some bits of its armour are nothing to it; ours has one spelling.
        assert theirs(changed) in ("refused", case.status)


def test_neither_verifier_takes_the_attestation_key_of_another_platform():
    case, other = CASES["simulated"], TdxQuote.parse(simulated("UpToDate").quote)
    quote = TdxQuote.parse(case.quote)
    forged = replace(quote, attestation_key=other.attestation_key, signature=other.signature, report=other.report)
    changed = replace(case, quote=forged.to_bytes())
    assert (ours(changed), theirs(changed)) == ("refused", "refused")
