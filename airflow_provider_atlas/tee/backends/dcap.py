"""The verifier of TDX quotes: ``dcap-qvl`` checks every signature, this module decides which root it may lead to.

``dcap-qvl`` refuses debug guests and enclaves, migratable guests, revoked platforms and expired collateral. What it
does not refuse, and this module does: bytes after the quote, a second chain in the collateral, and TCB levels signed
by anything but a TCB signing key.
See: Intel TDX DCAP Quoting Library API; RFC 9334 §4 (Verifier).
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import cast

from airflow_provider_atlas.encoding import Fields, parse_json, sha256_hex
from airflow_provider_atlas.errors import MalformedError, MissingError, SignatureError
from airflow_provider_atlas.tee.evidence import DCAP_COLLATERAL, TDX_QUOTE, Claims, Evidence, Fact
from airflow_provider_atlas.tee.tdx.certification import PckChain
from airflow_provider_atlas.tee.tdx.collateral import Collateral
from airflow_provider_atlas.tee.tdx.intel import INTEL_ROOT_SHA256
from airflow_provider_atlas.tee.tdx.quote import TdxQuote
from airflow_provider_atlas.tee.tdx.report import TdReport

_TCB_SIGNING = "SGX TCB Signing"


class DcapVerifier:
    """An ``EvidenceVerifier`` for Intel TDX: quotes with the DCAP collateral that they came with."""

    def verify(self, evidence: Evidence, *, development_roots: Collection[str], at: datetime) -> Claims:
        """Return the claims of a TDX quote that is genuine at the aware moment ``at``.

        The quote, its platform's certificates and the collateral must all lead to one root: Intel's, or one whose
        certificate's SHA-256 (DER, lower-case hex) is in ``development_roots``. The claims of the latter say so.

        Raises MalformedError for bytes that are no quote or no collateral, MissingError when the evidence came
        without collateral, SignatureError for all else: a signature, a root, a revocation, a date, a debug guest.
        """
        quote = _quote(evidence)
        collateral = _collateral(evidence)
        root = _root(quote.certification.chain, development_roots)
        _check_closed(quote.report)
        _check_signers(collateral)
        told = _verified(evidence.quote, collateral, root, at)
        _check_issuers(collateral, quote.certification.chain)
        return _claims(quote, told)


def _quote(evidence: Evidence) -> TdxQuote:
    if (evidence.tee, evidence.media_type) != ("tdx", TDX_QUOTE):
        raise MalformedError("expected evidence of tee 'tdx' with a raw TDX quote")
    return TdxQuote.parse(evidence.quote)


def _collateral(evidence: Evidence) -> Collateral:
    found = [one.content for one in evidence.endorsements if one.media_type == DCAP_COLLATERAL]
    if not found:
        raise MissingError("expected DCAP collateral with the quote: nothing else tells its TCB level")
    if len(found) > 1:
        raise MalformedError("expected one DCAP collateral with the quote")
    return Collateral.parse(found[0])


def _root(chain: PckChain, development_roots: Collection[str]) -> bytes:
    """Return the root that the quote itself names, when it is one that may be trusted."""
    if chain.root_sha256 != INTEL_ROOT_SHA256 and chain.root_sha256 not in development_roots:
        raise SignatureError(f"expected Intel's root or an accepted development root, not {chain.root_sha256}")
    return chain.root


def _check_closed(report: TdReport) -> None:
    if report.debug:
        raise SignatureError("expected a guest that its host cannot debug")
    if report.migratable:
        raise SignatureError("expected a guest that cannot migrate to another platform")
    if report.served:
        # dcap-qvl (0.7) looks at those of the launch alone, and a service guest can be bound later.
        raise SignatureError("expected a guest that no service guest is bound to: it could migrate it")


def _check_signers(collateral: Collateral) -> None:
    """Refuse TCB levels that a platform's own key signed.

    To ``dcap-qvl`` any certificate under the root may sign them. But PCK keys have been extracted (WireTap, TEE.fail
    2025), and their owner could so declare a broken platform up to date.
    """
    from cryptography import x509

    for certificate in collateral.signers():
        try:
            subject = x509.load_der_x509_certificate(certificate).subject
        except ValueError as error:
            raise MalformedError("expected the collateral's signer to be an X.509 certificate") from error
        if not any(_TCB_SIGNING in str(name.value) for name in subject.get_attributes_for_oid(x509.OID_COMMON_NAME)):
            raise SignatureError(f"expected the collateral to be signed by a {_TCB_SIGNING!r} certificate")


def _check_issuers(collateral: Collateral, chain: PckChain) -> None:
    """Refuse other issuers in the collateral than those that the quote's own certificates have led to.

    ``dcap-qvl`` takes them from the quote and its root, and never reads these, so nothing else would notice a change.
    """
    if collateral.issuers() != {(chain.ca, chain.root), (chain.root,)}:
        raise SignatureError("expected the collateral to name the issuers that the quote's own certificates name")


def _verified(quote: bytes, collateral: Collateral, root: bytes, at: datetime) -> Fields:
    """Return what ``dcap-qvl`` claims of the quote, once every signature has led to ``root``."""
    import dcap_qvl

    now = int(at.timestamp())
    try:
        endorsed = dcap_qvl.QuoteCollateralV3.from_json(collateral.to_bytes().decode("ascii"))
    except ValueError as error:
        raise MalformedError(f"expected DCAP collateral: {error}") from error
    try:
        # Its own policies refuse most real servers (dynamic platforms); ours is appraised on the claims.
        policy = dcap_qvl.QuotePolicy.claims_only(now)
        claims = dcap_qvl.QuoteVerifier(root).verify_with_policy(quote, endorsed, now, policy)
    except (ValueError, OverflowError) as error:
        raise SignatureError(f"expected a genuine quote: {_reason(quote, endorsed, root, now, error)}") from error
    return Fields(parse_json(claims.to_json().encode("utf-8")), "the claims of dcap-qvl")


def _reason(quote: bytes, endorsed: object, root: bytes, now: int, error: Exception) -> str:
    """Return why ``dcap-qvl`` refuses, in its words: only this entry point also tells the causes (0.7)."""
    import dcap_qvl

    try:
        dcap_qvl.verify_with_root_ca(quote, endorsed, root, now)
    except (ValueError, OverflowError) as detailed:
        error = detailed
    return " ".join(str(error).partition("Stack backtrace")[0].split())[:400]


def _claims(quote: TdxQuote, told: Fields) -> Claims:
    chain, report = quote.certification.chain, quote.report
    tcb, platform = told.fields("tcb"), told.fields("platform")
    return Claims(
        tee="tdx",
        report_data=report.report_data,
        measurements=report.measurements(),
        tcb_status=tcb.text("status"),
        advisory_ids=[str(advisory) for advisory in tcb.items("advisory_ids")],
        debug=report.debug,
        root_sha256=chain.root_sha256,
        development=chain.root_sha256 != INTEL_ROOT_SHA256,
        facts={
            "quote_version": quote.version,
            "tee_tcb_svn": report.tee_tcb_svn.hex(),
            "mrsignerseam": report.mrsignerseam.hex(),
            "td_attributes": report.td_attributes.hex(),
            "xfam": report.xfam.hex(),
            **_instance(report),
            "tcb_evaluation_data_number": tcb.integer("eval_data_number"),
            "tcb_date": platform.fields("tcb_level").text("tcbDate"),
            "collateral_issued": told.integer("latest_issue_date"),
            "collateral_expires": told.integer("earliest_expiration_date"),
            **_platform(platform.fields("pck")),
        },
    )


def _instance(report: TdReport) -> Mapping[str, Fact]:
    extended = report.td15.extended if report.td15 else None
    return {"td_id": extended.td_id.hex(), "vmid": extended.vmid[0]} if extended else {}


def _platform(pck: Fields) -> Mapping[str, Fact]:
    # The PPID names one machine for ever, so only its hash may be published.
    return {
        "fmspc": _octets(pck, "fmspc").hex(),
        "pce_svn": pck.integer("pce_svn"),
        "cpu_svn": _octets(pck, "cpu_svn").hex(),
        "ppid_sha256": sha256_hex(_octets(pck, "ppid")),
        "smt": pck.text("smt_enabled"),
        "dynamic_platform": pck.text("dynamic_platform"),
    }


def _octets(fields: Fields, name: str) -> bytes:
    return bytes(cast("list[int]", fields.items(name)))
